"""The release's ways: parity with Caffe, whose nets OpenCV's importer runs on the same .caffemodel, and its tiles."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import srvae_core as sr
from helpers import caffemodel
from pictures import picture
from srvae import metrics, release


def random_weights(layers: list[sr.Layer], seed: int) -> dict[str, list[np.ndarray]]:
    """Blobs in Caffe's shapes, scaled so that every layer, also the latents', shows in the output."""
    rng = np.random.default_rng(seed)

    def normal(shape: tuple[int, ...] | int, sd: float) -> np.ndarray:
        return (rng.standard_normal(shape, np.float32) * sd).astype(np.float32)

    blobs = {}
    for layer in layers:
        if layer.kind == "prelu":
            blobs[layer.name] = [rng.uniform(0.05, 0.5, 1).astype(np.float32)]
            continue
        shape = (layer.cout, layer.cin) if layer.kind == "fc" else (layer.cout, layer.cin, layer.kernel, layer.kernel)
        if layer.kind == "deconv":
            shape = (layer.cin, layer.cout, *shape[2:])
        fan = layer.cin * layer.kernel**2 / (layer.stride**2 if layer.kind == "deconv" else 1)
        blobs[layer.name] = [normal(shape, fan**-0.5), normal(layer.cout, 0.1)]
    return blobs


def prototxt(layers: list[sr.Layer]) -> str:
    """VAE_Deploy_{4x,8x}.prototxt, its DummyData layers (mu and sd) swapped for inputs."""
    rows = {layer.name: layer for layer in layers}
    text = []

    def add(name: str, kind: str, bottoms: str, parameters: str = "") -> str:
        links = " ".join(f'bottom: "{b}"' for b in bottoms.split())
        text.append(f'layer {{ name: "{name}" type: "{kind}" {links} top: "{name}" {parameters} }}')
        return name

    def learned(name: str, bottom: str, relu: bool = False) -> str:
        r = rows[name]
        if r.kind == "prelu":
            return add(name, "PReLU", bottom, "prelu_param { channel_shared: true }")
        if r.kind == "fc":
            add(name, "InnerProduct", bottom, f"inner_product_param {{ num_output: {r.cout} }}")
        else:
            kind = "Convolution" if r.kind == "conv" else "Deconvolution"
            size = f"num_output: {r.cout} kernel_size: {r.kernel} stride: {r.stride} pad: {r.pad}"
            add(name, kind, bottom, f"convolution_param {{ {size} }}")
        return add(f"relu_{name}", "ReLU", name) if relu else name

    for name, dims in (("data", (1, 3, 128, 128)), ("mu", (1, 1024)), ("sd", (1, 1024))):
        add(name, "Input", "", f"input_param {{ shape {{ {' '.join(f'dim: {d}' for d in dims)} }} }}")
    x = "data"
    features = [name for name in rows if name.startswith("feat")]
    for name in features:
        x = learned(name, x, relu=name != features[-1])
    code = learned("input2", learned("input1", x, relu=True))
    x = learned("generator2", learned("generator1", "data", relu=True), relu=True)
    x = add("mvn", "MVN", x, "mvn_param { across_channels: true eps: 1e-9 }")
    x = add("scaled", "Eltwise", f"{x} sd", "eltwise_param { operation: PROD }")
    x = add("z", "Eltwise", f"mu {x}", "eltwise_param { operation: SUM }")
    for name in ("ip4", "ip5", "ip6"):
        x = learned(name, x, relu=True)
    dims = "dim: 1 dim: 16 dim: 16 dim: 16" if "feat4_1" in rows else "dim: 1 dim: 4 dim: 32 dim: 32"
    x = learned("decoder1", add("map", "Reshape", x, f"reshape_param {{ shape {{ {dims} }} }}"))
    x = learned("relu_decoder1", add("concat", "Concat", f"{code} {x}"))
    for s in range(1, 4 if "feat4_1" in rows else 3):
        h = learned(f"relu1_SR_s{s}", learned(f"conv1_SR_s{s}", x))
        down = learned(f"relu2_SR_s{s}", learned(f"conv2_SR_s{s}", h))
        x = learned(f"local_output_SR_s{s}", x)
        e = add(f"minus_s{s}", "Eltwise", f"{x} {down}", "eltwise_param { operation: SUM coeff: 1 coeff: -1 }")
        e = learned(f"relu3_SR_s{s}", learned(f"conv3_SR_s{s}", e))
        h = learned(f"local_conv1_SR_s{s}", h)
        x = learned(f"relu_output_SR_s{s}", add(f"plus_s{s}", "Eltwise", f"{h} {e}", ""))
    learned(layers[-1].name, x)
    return "\n".join(text)


@pytest.fixture(scope="module", params=[4, 8])
def nets(request, tmp_path_factory):
    """(scale, path of a real .caffemodel file in the deploy form, its blobs, its layers)."""
    layers = sr.release_layers(request.param, residual=False)
    blobs = random_weights(layers, seed=request.param)
    path = tmp_path_factory.mktemp("caffe") / "VAE_Deploy.caffemodel"
    path.write_bytes(caffemodel(blobs).SerializeToString())
    yield request.param, path, blobs, layers
    path.unlink()  # 172 or 201 MB


def run_opencv(layers: list[sr.Layer], path: Path, inputs: dict[str, np.ndarray]) -> np.ndarray:
    deploy = path.with_suffix(".prototxt")
    deploy.write_text(prototxt(layers))
    net = cv2.dnn.readNetFromCaffe(str(deploy), str(path))
    for name, value in inputs.items():
        net.setInput(value, name)
    return net.forward(layers[-1].name)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["deploy", "training"])
def test_parity_with_opencvs_caffe(nets, tmp_path, form):
    scale, path, blobs, layers = nets
    rng = np.random.default_rng(scale)
    up = rng.random((1, 3, 128, 128), np.float32)
    mu, sd = rng.standard_normal((2, 1, 1024), np.float32)
    if form == "training":
        layers = sr.release_layers(scale, residual=True)
        path = tmp_path / "VAE_SR_iter_105000.caffemodel"
        renamed = {"SR_res" if name == "SR" else name: v for name, v in blobs.items()}
        path.write_bytes(caffemodel(renamed).SerializeToString())
    wanted = run_opencv(layers, path, {"data": up, "mu": mu, "sd": sd})
    if form == "training":
        wanted = wanted + up

    model = release.load_caffemodel(path, scale=scale)
    if form == "training":
        path.unlink()
    assert model.residual == (form == "training")
    assert not model.training
    assert not model.has_encoder
    x = torch.from_numpy(up)
    with torch.inference_mode():
        z = torch.from_numpy(mu) + model.generator(x) * torch.from_numpy(sd)
        got = model(x, z).numpy()
        silent = model(x, torch.zeros_like(z)).numpy()
    assert np.abs(got - wanted).max() <= 1e-5 * np.abs(wanted).max()
    assert np.abs(silent - wanted).max() > 0.01 * np.abs(wanted).max(), "the latents must count in this test"


@pytest.mark.slow
def test_v1_form_loads_to_the_same(nets, tmp_path):
    scale, path, blobs, _ = nets
    old = tmp_path / "old.caffemodel"
    old.write_bytes(caffemodel(blobs, v1=True).SerializeToString())
    a, b = (release.load_caffemodel(p, scale=scale).state_dict() for p in (path, old))
    old.unlink()
    assert all(torch.equal(a[name], b[name]) for name in a | b)


def test_damaged_files_and_other_scales_are_refused(nets, tmp_path):
    scale, path, _, _ = nets
    with pytest.raises(ValueError, match=rf"(?s)does not fit the {12 - scale}x SR-VAE: .*input1\.weight"):
        release.load_caffemodel(path, scale=12 - scale)
    (tmp_path / "cut.caffemodel").write_bytes(path.read_bytes()[:-1])
    (tmp_path / "empty.caffemodel").write_bytes(b"")
    for name, message in (("cut", "is not a readable .caffemodel, perhaps cut"), ("empty", "holds no layer")):
        with pytest.raises(ValueError, match=rf"{name}\.caffemodel {message}"):
            release.load_caffemodel(tmp_path / f"{name}.caffemodel", scale=scale)
    (tmp_path / "cut.caffemodel").unlink()  # 172 or 201 MB


@pytest.mark.parametrize(("dims", "numbers"), [([64, 3, 3, 3], 5), ([-2, -3], 6), ([-1, -24], 24), ([2**31, 2**31], 1)])
def test_blobs_of_another_size_than_their_shape_are_refused(tmp_path, dims, numbers):
    net = release.caffe_net_message()()
    net.layer.add(name="feat1_1").blobs.add(data=bytes(4 * numbers)).shape.dim.extend(dims)
    path = tmp_path / "odd.caffemodel"
    path.write_bytes(net.SerializeToString())
    with pytest.raises(ValueError, match=rf"odd\.caffemodel: feat1_1 holds {numbers} numbers for the shape"):
        release.read_caffemodel(path)


def changed_file(tmp_path: Path, changes: dict[str, list[np.ndarray]]) -> Path:
    """A 4x deploy file of zeros with some layers changed."""
    with torch.device("meta"):
        state = sr.SRVAE(4, residual=False).state_dict()
    blobs = {}
    for name, tensor in state.items():  # a layer's weight, then its bias
        blobs.setdefault(name.split(".")[0], []).append(np.zeros(tensor.shape, np.float32))
    path = tmp_path / "changed.caffemodel"
    path.write_bytes(caffemodel(blobs | changes).SerializeToString())
    return path


def test_training_snapshots_warn_of_unused_layers(tmp_path):
    spare = {"feat1_1_HR": [np.ones((2, 2), np.float32)], "conv5_4": [np.ones((1, 2), np.float32)]}
    path = changed_file(tmp_path, spare)
    with pytest.warns(UserWarning, match="layers not used: feat1_1_HR, conv5_4$") as caught:
        release.load_caffemodel(path, scale=4)
    path.unlink()
    assert caught[0].filename == __file__, "the warning points at the caller"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layer", "blobs", "message"),
    [
        ("ip4", [np.ones((1024, 2048)), np.ones(2048)], r"ip4\.weight.*\[1024, 2048\].*\[2048, 1024\]"),
        ("SR", [np.full((3, 32, 3, 3), np.nan), np.ones(3)], "not finite numbers in SR.weight"),
        ("relu_decoder1", [np.ones(1), np.ones(1)], "Unexpected key.*relu_decoder1.bias"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, layer, blobs, message):
    path = changed_file(tmp_path, {layer: blobs})
    with pytest.raises(ValueError, match=rf"(?s)changed\.caffemodel (does not fit|has values).*{message}"):
        release.load_caffemodel(path, scale=4)
    path.unlink()


# -- The release's tiles --------------------------------------------------------------------------------------


def release_reference(lr: np.ndarray, model: sr.SRVAE, temperature: float, seed: int, transforms: int) -> np.ndarray:
    """The tiles of the release's notebooks, written from their description; (s*H, s*W, 3) float."""
    s, generator = model.scale, torch.Generator().manual_seed(seed)
    big = sr.enlarge(lr, s).astype(np.float32) / 255  # the 8-bit PNG that they read
    total = 0
    for k in range(transforms):
        image = np.rot90(big, k % 4)
        image = image[:, ::-1] if k >= 4 else image
        rows, cols = ([*range(0, n - 128, 64), n - 128] for n in image.shape[:2])
        answer, count = np.zeros_like(image), np.zeros((*image.shape[:2], 1))
        for y in rows:
            for x in cols:
                tile = torch.from_numpy(image[y : y + 128, x : x + 128].transpose(2, 0, 1)[None].copy())
                sd = temperature * 0.1 * torch.randn(1, 1024, generator=generator)
                sample = model(tile, model.generator(tile) * sd)
                answer[y : y + 128, x : x + 128] += sample[0].numpy().transpose(1, 2, 0)
                count[y : y + 128, x : x + 128] += 1
        answer = answer / count
        total = total + np.rot90(answer[:, ::-1] if k >= 4 else answer, -(k % 4))
    return total / transforms


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scale", "size", "transforms", "temperature"),
    [(4, (32, 41), 8, 10.0), (4, (55, 48), 1, 10.0), (8, (26, 17), 1, 1.0), (8, (16, 16), 8, 0.0)],
)
def test_tiles_are_those_of_the_releases_notebooks(random_model, scale, size, transforms, temperature):
    lr, model = picture(*size), random_model(scale)
    with torch.inference_mode():
        wanted = release_reference(lr, model, temperature, 7, transforms)
    ensemble = transforms == 8
    got = release.super_resolve(lr, model, temperature=temperature, seed=7, self_ensemble=ensemble, as_float=True)
    assert np.abs(got - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_tiling_mirrors_small_images(random_model):
    lr = picture(20, 32)
    mirrored = np.concatenate([lr, lr[::-1]])[:32]
    small, large = (release.super_resolve(x, random_model(4), as_float=True)[:60] for x in (lr, mirrored))
    np.testing.assert_allclose(small, large, atol=1e-3)  # up to the enlarged border, some rows further down


@pytest.mark.slow
@pytest.mark.parametrize("name", sr.available_models())
def test_whole_tiling_is_no_worse_than_the_releases(shipped, photographs, name):
    """Within 0.03 dB of the release's tiles at z = 0, without self-ensemble."""
    model, hr = shipped(name), photographs["astronaut"]
    options = {"temperature": 0.0, "consistency": True, "as_float": True}
    answers = [f(sr.downscale(hr, model.scale), model, **options) for f in (sr.super_resolve, release.super_resolve)]
    whole, tiles = (metrics.psnr_y(answer, hr, model.scale) for answer in answers)
    assert whole >= tiles - 0.03
