"""Announcements of further images in the metadata of a JPEG: gain maps, motion photos, multi-picture lists.

Only the first image of such a file is written again, so what announces the others is taken out (Ultra HDR image format
1.1; ISO 21496-1; CIPA DC-007; Motion Photo format 1.0). Offsets and lengths in it would be false in any case.
"""

import re

LISTS = (b"MPF\0", b"urn:iso:std:iso:ts:21496:-1\0")
"""First bytes of APP2 segments that describe further images: multi-picture format, ISO gain map."""
XMP = b"http://ns.adobe.com/xap/1.0/\0"
"""First bytes of an APP1 segment with XMP."""
NAMESPACES = {
    b"http://ns.adobe.com/hdr-gain-map/1.0/": rb"\w+",
    b"http://ns.google.com/photos/1.0/container/": rb"Directory",
    b"http://ns.google.com/photos/1.0/camera/": rb"(?:Motion|Micro)\w+",
}
"""Names of XMP that announce an image or a video behind the first image, by namespace."""


def strip_announcements(xmp: bytes) -> bytes:
    """Take out of XMP all that announces further images; everything else stays bit for bit."""
    for uri, names in NAMESPACES.items():
        for prefix in set(re.findall(rb"xmlns:(\w+)\s*=\s*[\"']" + re.escape(uri), xmp)):
            name = prefix + b":" + names
            xmp = re.sub(rb"\s+" + name + rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')", b"", xmp)
            xmp = re.sub(rb"<(" + name + rb")(?:\s[^>]*)?(?:/>|>.*?</\1\s*>)", b"", xmp, flags=re.DOTALL)
    return xmp
