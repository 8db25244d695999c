"""Laws of the web server under attack: each row of the HTTP table of faults, over raw sockets; it lives on."""

import asyncio
import json
import re
import shlex
import time
from io import BytesIO

import httpx
import pytest

from commands import run_here
from mashpix.errors import UsageError
from mashpix.web.guard import COOKIE, HEADERS, session_of
from mashpix.web.job import Job, new_id
from mashpix.web.limits import ServerOptions
from mashpix.web.store import Store
from web_attacks import END, FILE, FORM_TYPE, LIMITS, REQUESTS, SLOW, hold, leave, part, spools_of
from web_server import in_process, jobs_of, serving

pytestmark = pytest.mark.skipif("not __import__('pathlib').Path('/proc/self').exists()", reason="needs /proc")


TOKEN = "a token of some length"


def until(is_so):
    """Wait until something is so."""
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end, "it never became so"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("jobs"), **LIMITS) as server:
        yield server
        assert server.end()[1] == ""  # nothing was logged: no token, no name, no traceback


@pytest.mark.parametrize("name", REQUESTS)
def test_a_bad_request_is_refused_in_one_form(server, name):
    request = REQUESTS[name]
    status, answer = request.send(server)
    assert status in request.statuses, answer
    head, _, body = answer.partition(b"\r\n\r\n")
    said = head.decode("latin-1").lower()
    assert "access-control" not in said
    assert all(f"{name}: {value}".lower() in said for name, value in HEADERS.items()), said
    assert status == 200 or (set(json.loads(body)) == {"code", "message"} and b"\\n" not in body)
    assert server.is_well()
    assert not jobs_of(server.folder)


@pytest.mark.parametrize("name", SLOW)
def test_a_slow_client_is_closed_at_its_deadline_and_others_do_not_notice(server, name):
    ended = hold(server, SLOW[name], 2, seconds=60)
    assert ended.closed == 2
    assert ended.others_are_well
    assert ended.seconds > 0.9


def test_a_client_that_leaves_leaves_nothing(server):
    leave(server, 8)
    until(lambda: not spools_of(server))
    assert not jobs_of(server.folder)
    assert server.http.get("/api/jobs").json()["jobs"] == []


def test_the_queue_has_a_length_and_each_client_a_share(tmp_path):
    async def use(app, mine):
        yours = httpx.AsyncClient(transport=httpx.ASGITransport(app, client=("127.0.0.2", 1)), base_url=mine.base_url)
        go_on, waiting = asyncio.Event(), app.app.state.scheduler.arriving

        async def body():
            yield part(name="url")
            await go_on.wait()
            yield END

        async def post(client, content=END):
            return await client.post("/api/jobs", content=content, headers={"Content-Type": FORM_TYPE})

        async with asyncio.TaskGroup() as group, yours:
            for client, n in ((mine, 3), (yours, 2)):
                assert (await post(client)).status_code == 422  # there is no file in it, but there was room for one
                slow = [group.create_task(post(client, body())) for _ in range(n)]
                while len(waiting) < (3 if client is mine else 5):
                    await asyncio.sleep(0.01)
                full = await post(client)
                assert (full.status_code, full.json()["code"], full.headers["retry-after"]) == (429, "queue_full", "5")
                assert ("your share" if client is mine else "the queue is full") in full.json()["message"]
            go_on.set()
            assert {(await task).status_code for task in slow} == {422}
            assert (await post(mine)).status_code == 422

    in_process(tmp_path, use, queue=5, share=3)


def test_a_full_disk_is_said_and_leaves_nothing(server):
    resource = pytest.importorskip("resource")

    def limit_files(size):
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    limit_files(2**20)  # a file cannot become longer: as on a full disk, writing fails
    answers = [server.post(bytes(3 * 2**20)), server.post(bytes(2**20 - 1) + b"x" * 2)]
    limit_files(10)
    answers += [server.post(b"x"), server.http.post("/api/jobs/sample")]
    limit_files(resource.RLIM_INFINITY)
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(507, "disk_full")}
    until(lambda: not jobs_of(server.folder) and not spools_of(server))
    assert server.is_well()


def test_no_room_is_known_before_the_file_is_taken_in(tmp_path):
    async def use(app, client):
        return await client.post("/api/jobs", files={"file": ("x.png", b"x")}), await client.post("/api/jobs/sample")

    answers = in_process(tmp_path, use, disk=100)
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(507, "disk_full")}
    assert not jobs_of(tmp_path)


def test_an_upload_that_is_cancelled_at_its_end_is_no_job(tmp_path):
    messages = iter([{"type": "http.request", "body": FILE + END}])
    headers = [(b"host", b"127.0.0.1"), (b"content-type", FORM_TYPE.encode())]
    scope = {"type": "http", "method": "POST", "path": "/api/jobs", "raw_path": b"/api/jobs", "query_string": b""}
    sent = []

    async def receive():
        return next(messages, {"type": "http.disconnect"})

    async def send(message):
        sent.append(message)

    async def upload(app, _):
        await app(scope | {"headers": headers, "client": ("127.0.0.1", 1)}, receive, send)
        return app.app.state.scheduler.jobs

    assert in_process(tmp_path, upload) == {}
    assert sent[0]["status"] == 400
    assert not jobs_of(tmp_path)


NAMES = ["../../x.png", "/etc/passwd", "..\\..\\x", "a\r\nb.png", "<script>alert(1)</script>", "a\0b.png", "..", "..."]
NAMES += [" ", "CON", "-rf", "é" * 200 + ".png", "a" * 3000 + ".png", "a\u202egnp.exe", "x.png'; rm -rf ~; '"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_name_is_shown_and_is_never_a_path(tmp_path, name):
    async def use(app, client):
        answer = await client.post("/api/jobs", files={"file": (name, b"x")}, data={"start": "false"})
        return answer.json(), jobs_of(tmp_path)

    job, (folder,) = in_process(tmp_path, use)
    (kept,) = (folder / "source").iterdir()
    assert re.fullmatch(r"[\w .()+,=@-]{1,120}", kept.name)
    assert kept.resolve().parent == folder / "source"
    assert kept.name not in (".", "..")
    assert len(job["name"]) <= 255
    assert job["name"].isprintable()
    assert shlex.split(job["commands"]["shell"])[2] == kept.name
    assert name.isprintable() == (job["name"] in name)


def test_ids_have_128_random_bits():
    ids = [int(new_id(), 16) for _ in range(200)]
    assert len(set(ids)) == 200
    assert all(len(new_id()) == 32 for _ in range(20))
    assert all(50 < sum(number >> bit & 1 for number in ids) < 150 for bit in range(128))


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.168.1.5", "example.org", "127.0.0.1.example.org"])
def test_beyond_this_machine_it_does_not_start_without_a_token(tmp_path, host):
    with pytest.raises(UsageError, match="can be reached from elsewhere"):
        ServerOptions(folder=tmp_path, host=host)
    with pytest.raises(UsageError, match="too short"):
        ServerOptions(folder=tmp_path, host=host, token="short")
    assert ServerOptions(folder=tmp_path, host=host, token=TOKEN).token == TOKEN
    assert run_here("serve", "--host", host, "--no-browser").returncode == 2


def test_a_token_is_compared_in_constant_time_and_never_taken_from_a_url(tmp_path, monkeypatch):
    compared = []

    def compare(one, other):
        compared.append(one)
        return one == other

    monkeypatch.setattr("hmac.compare_digest", compare)

    async def use(app, client):
        for given in ("", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"bearer {TOKEN[:-1]}"):
            assert (await client.get("/api/jobs", headers={"Authorization": given})).status_code == 401
        for cookie in ("", TOKEN, session_of(TOKEN)[:-1]):
            assert (await client.get("/api/jobs", headers={"Cookie": f"{COOKIE}={cookie}"})).status_code == 401
        assert (await client.get("/api/jobs", params={"token": TOKEN})).status_code == 401
        assert (await client.get("/")).headers["location"] == "/login"
        assert (await client.post("/login", data={"token": "wrong"})).status_code == 401
        assert {b"wrong", b"a token of some lengthx", TOKEN.encode()} <= set(compared)
        assert (await client.get("/api/jobs", headers={"Authorization": f"Bearer {TOKEN}"})).status_code == 200
        entered = await client.post("/login", data={"token": TOKEN})
        assert entered.headers["location"] == "/"
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert TOKEN not in cookie
        job = (await client.post("/api/jobs/sample")).json()
        assert TOKEN not in json.dumps(job)
        assert "Bearer" in job["commands"]["curl"]

    in_process(tmp_path, use, token=TOKEN)


def test_only_jobs_that_have_expired_are_removed_and_nothing_else(tmp_path):
    store, mine = Store(tmp_path), tmp_path / "my pictures"
    mine.mkdir()
    (mine / "a.png").write_bytes(b"x")
    old, new = (Job(new_id(), "x.png", state="done", task="", touched=time.time() - age) for age in (4000, 3000))
    for job in (old, new):
        store.create(job, BytesIO(b"x"))
    (tmp_path / new_id() / "source").mkdir(parents=True)  # of an upload that a killed server was taking in

    async def use(app, client):
        while len(jobs_of(tmp_path)) > 1:
            await asyncio.sleep(0.05)
        return (await client.get("/api/jobs")).json()["jobs"]

    (left,) = in_process(tmp_path, use)
    assert left["id"] == new.id
    assert left["expires"] == pytest.approx(new.touched + 3600)
    assert [folder.name for folder in jobs_of(tmp_path)] == [new.id]
    assert (mine / "a.png").exists()
