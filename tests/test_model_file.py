"""Laws of models in files: what comes back does the same, and nothing else is taken for a model."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from commands import QUICK, names, run_here
from mashpix import PRESETS, FileError
from mashpix.arrays.model import fit_to_images, normalize_alike
from mashpix.arrays.modelling import apply_model_steps, fit_model_steps
from mashpix.files.safetensors import decode_tensors, encode_tensors
from mashpix.jobs.model_file import FORMER, encode_model, read_model
from mashpix.jobs.model_reference import read_origin
from mashpix.jobs.recipe import hash_file, read_recipe
from mashpix.steps import drain

TINY = replace(PRESETS["default"], steps=3, masks=2, channels=4, depth=2, masking_ratio=0.2)


@pytest.mark.parametrize(("share_noise", "refine", "fits"), [(True, True, 1), (False, True, 1), (True, False, 2)])
def test_a_model_that_was_written_and_read_does_the_same(share_noise, refine, fits, rng, tmp_path):
    pictures = rng.normal(50, 5, (3, 1, 40, 32)).astype(np.float32)
    settings, generator = replace(TINY, refine=refine, fits=fits), torch.Generator().manual_seed(0)
    doors = normalize_alike(pictures, data_range=None, settings=settings)
    model = drain(fit_to_images(doors, share_noise=share_noise, settings=settings, generator=generator))
    (tmp_path / "model").write_bytes(encode_model(model, origin={}))
    again = read_model(tmp_path / "model")
    assert again.settings == model.settings
    results = [[step.denoised for step in apply_model_steps(item, pictures[0], axes="CYX")] for item in (model, again)]
    np.testing.assert_array_equal(results[0][-2], results[1][-2])
    assert (again.noises[0] is not None) == (share_noise and refine)


def test_a_model_written_by_version_0_1_0_is_read(rng, tmp_path):
    """There the noises had other names, and a variance model three numbers."""
    pictures = rng.normal(50, 5, (3, 1, 40, 32)).astype(np.float32)
    doors = normalize_alike(pictures, data_range=None, settings=TINY)
    fitting = fit_to_images(doors, share_noise=True, settings=TINY, generator=torch.Generator().manual_seed(0))
    model = drain(fitting)
    arrays, header = decode_tensors(encode_model(model, origin={}))
    former = {name: old for old, name in FORMER.items()}
    arrays = {" ".join(former.get(word, word) for word in name.split(" ")): array for name, array in arrays.items()}
    about = json.loads(header["model"])
    about["laws"] = [{former[name]: law[:3] for name, law in laws.items()} for laws in about["laws"]]
    (tmp_path / "model").write_bytes(encode_tensors(arrays, header | {"model": json.dumps(about)}))
    for found, noise in zip(read_model(tmp_path / "model").noises[0], model.noises[0], strict=True):
        assert (found is None) == (noise is None)
        if found is not None:
            assert torch.equal(found.psd, noise.psd)
            assert found.variance_model[:3] == noise.variance_model[:3]
            assert found.is_rgb == noise.is_rgb


def test_a_picture_with_more_noise_than_those_of_the_fit_has_its_own_measured(rng):
    sigmas = (2, 2, 2, 20)
    pictures = np.stack([rng.normal(100, sigma, (1, 64, 64)) for sigma in sigmas]).astype(np.float32)
    model = drain(fit_model_steps(pictures[:3], settings=replace(TINY, steps=30)))
    *_, plane, _ = apply_model_steps(model, pictures[3], axes="CYX")
    assert plane.denoised.std() < 0.4 * 20


def test_the_format_is_what_it_says(tmp_path):
    data = encode_tensors({"a": np.arange(6, dtype=np.float32).reshape(2, 3)}, {"who": "us"})
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert header["a"] == {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    assert data[8 + length :] == np.arange(6, dtype="<f4").tobytes()


def test_what_is_no_model_is_refused_in_one_line(rng, tmp_path):
    good = encode_tensors({"a": np.zeros((2, 3), np.float32)}, {"format": "mashpix-model-1", "model": "{}"})
    for data, message in (
        (b"", "not a readable"),
        (b"\xff" * 64, "not a readable"),
        (good[:-1], "does not fit its place"),
        (good.replace(b"[2,3]", b"[2,9]"), "does not fit its place"),
        (good.replace(b"[0,24]", b"[8,24]"), "does not fit its place"),
        (good.replace(b"F32", b"I32"), "not a readable"),
        (encode_tensors({}, {}), "not a mashpix model"),
        (good, "not a complete model"),
    ):
        (tmp_path / "model").write_bytes(data)
        with pytest.raises(FileError, match=message):
            read_model(tmp_path / "model")
    with pytest.raises(FileError):
        decode_tensors(torch.zeros(3).numpy().tobytes())


def test_fit_and_apply_on_a_series_of_files(rng, tmp_path):
    for name in "abc":
        noisy = rng.normal(1000, 100, (24, 32)).astype(np.uint16)
        tifffile.imwrite(tmp_path / f"{name}.tif", noisy, metadata=None, description=name)
    tifffile.imwrite(tmp_path / "other.tif", rng.normal(size=(24, 32)).astype(np.float32), metadata=None)
    inputs = [tmp_path / f"{name}.tif" for name in "abc"]
    model = tmp_path / "m.safetensors"
    done = run_here("fit", *inputs, "-o", model, *QUICK)
    assert done.returncode == 0, done.stderr
    assert "fitted to 3 of 3 planes" in done.stdout
    done = run_here("apply", model, *inputs, tmp_path / "other.tif")
    assert done.returncode == 1
    unlike = "not like the images that the model was fitted to (1 channels of float32; 1 channels of uint16"
    assert unlike in done.stderr
    for name in "abc":
        with tifffile.TiffFile(tmp_path / f"{name}_denoised.tif") as file:
            assert file.pages[0].description == name
            assert file.asarray().std() < 80
    assert not (tmp_path / "other_denoised.tif").exists()
    assert "several kinds" in run_here("fit", inputs[0], tmp_path / "other.tif", "-o", "n", *QUICK).stderr


def test_grey_and_colour_have_no_network_in_common(rng, tmp_path):
    for name, shape in (("grey.png", (24, 32)), ("rgb.png", (24, 32, 3))):
        Image.fromarray(rng.integers(0, 256, shape).astype(np.uint8)).save(tmp_path / name)
    done = run_here("fit", "grey.png", "rgb.png", "-o", "m", *QUICK, cwd=tmp_path)
    assert (done.returncode, names(tmp_path)) == (1, ["grey.png", "rgb.png"])
    assert "images of several kinds (1 channels of uint8, 3 channels of uint8; one network serves" in done.stderr


def test_what_apply_writes_has_a_recipe_and_a_verdict(rng, tmp_path):
    for name in "ab":
        tifffile.imwrite(tmp_path / f"{name}.tif", rng.normal(1000, 100, (24, 32)).astype(np.uint16), metadata=None)
    model, other, source = tmp_path / "m", tmp_path / "n", tmp_path / "a.tif"
    assert run_here("fit", source, "-o", model, *QUICK).returncode == 0
    assert run_here("fit", tmp_path / "b.tif", "-o", other, *QUICK).returncode == 0
    assert read_origin(model)["inputs"] == {str(source): hash_file(source)}
    done = run_here("apply", model, source, "--seed", 3, "--strength", 0.7, "--threads", 1, "--save", "spread,residual")
    assert done.returncode == 0, done.stderr
    assert "verdict: " in done.stdout
    path = tmp_path / "a_denoised.tif.json"
    recipe = read_recipe(path)
    assert recipe.model == {"name": "m", "sha256": hash_file(model)}
    assert (recipe.seed, recipe.strength, recipe.settings) == (3, 0.7, read_model(model).settings)
    assert recipe.input_sha256 == hash_file(source)
    assert recipe.output_sha256 == hash_file(tmp_path / "a_denoised.tif")
    assert recipe.report["verdict"]["verdict"] in done.stdout
    assert tifffile.imread(tmp_path / "a_denoised_spread.tif").max() > 0
    again = tmp_path / "again.tif"
    assert run_here("apply", model, source, "--recipe", path, "-o", again).returncode == 0
    assert again.read_bytes() == (tmp_path / "a_denoised.tif").read_bytes()
    for arguments, message in (
        (("apply", other, source, "--recipe", path), "the recipe is not of this model"),
        (("denoise", source, "--recipe", path), "the recipe is of a model ('m'; mashpix apply MODEL IN --recipe FILE)"),
    ):
        assert message in run_here(*arguments, "-o", tmp_path / "x.tif").stderr


def test_fit_and_apply_on_a_stack(rng, tmp_path):
    stack = rng.normal(1000, 100, (5, 2, 24, 32)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "TCYX"})
    model = tmp_path / "m.safetensors"
    assert "need a model each" in run_here("fit", tmp_path / "a.tif", "-o", model, *QUICK).stderr
    assert run_here("fit", tmp_path / "a.tif", "-o", model, "--channels", "joint", *QUICK).returncode == 0
    assert run_here("apply", model, tmp_path / "a.tif").returncode == 1
    done = run_here("apply", model, tmp_path / "a.tif", "--channels", "joint")
    assert done.returncode == 0, done.stderr
    assert tifffile.imread(tmp_path / "a_denoised.tif").std() < 0.8 * stack.std()
