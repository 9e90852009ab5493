"""Small sets in the layouts that their authors publish, with known depth; written without the readers' code.

`BUILDERS[name](root)` writes the set below the empty folder `root`. Every set holds at least three images, some with
sky (where the set has it) and holes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import numpy.typing as npt
import OpenEXR

Array = npt.NDArray[Any]
SIZE = (24, 36)


@dataclass
class Truth:
    """One built image. depth: metres (or the set's unit), of which only what is neither sky nor hole means anything."""

    depth: Array
    sky: Array
    hole: Array
    image_file: Path
    depth_file: Path
    tolerance: float = 1e-6


@dataclass
class Built:
    root: Path
    truths: dict[str, Truth] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def scene(seed: int, *, sky: bool, near: float = 1.0, far: float = 60.0) -> tuple[Array, Array, Array]:
    """depth float64, sky and hole masks: smooth depth, a band of sky on top, a block of holes."""
    rng = np.random.default_rng(seed)
    depth = rng.uniform(near, far, SIZE)
    is_sky = np.zeros(SIZE, bool)
    if sky:
        is_sky[:5] = True
    hole = np.zeros(SIZE, bool)
    row, column = rng.integers(6, 16), rng.integers(0, 28)
    hole[row : row + 4, column : column + 6] = True
    return depth, is_sky, hole


def picture(seed: int, channels: int = 3) -> Array:
    return np.random.default_rng(1000 + seed).integers(0, 256, (*SIZE, channels), dtype=np.uint8)


def write_picture(path: Path, values: Array) -> None:
    """RGB or RGBA."""
    path.parent.mkdir(parents=True, exist_ok=True)
    order = cv2.COLOR_RGB2BGR if values.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    assert cv2.imwrite(str(path), cv2.cvtColor(values, order))


def write_png16(path: Path, codes: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), codes.astype(np.uint16))


def write_hdf5(path: Path, values: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.create_dataset("dataset", data=values)


def write_exr(path: Path, values: Array, channel: str = "G") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {channel: values.astype(np.float32)}) as file:
        file.write(str(path))


def write_npy(path: Path, values: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)


def write_pfm(path: Path, values: Array) -> None:
    """Little-endian, the bottom row first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = values.shape
    rows = [struct.pack(f"<{width}f", *row) for row in values[::-1].tolist()]
    path.write_bytes(b"Pf\n%d %d\n-1.000000\n" % (width, height) + b"".join(rows))


def leave_finder_files(root: Path) -> None:
    """What macOS leaves beside every file on other file systems."""
    for path in [p for p in root.rglob("*") if p.is_file() and not p.name.startswith("._")]:
        (path.parent / f"._{path.name}").write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ")
    (root / ".DS_Store").write_bytes(b"\x00\x00\x00\x01Bud1")


def hypersim_distance(z: Array) -> Array:
    """Ray distance of depth z; as README says, a 1024 pixels wide image has focal length 886.81."""
    height, width = z.shape
    distance = np.empty_like(z)
    for row in range(height):
        for column in range(width):
            x, y = column + 0.5 - width / 2, row + 0.5 - height / 2
            ray = np.array([x, y, 886.81 * width / 1024])
            distance[row, column] = z[row, column] * np.linalg.norm(ray) / ray[2]
    return distance


def hypersim_frame(root: Path, name: str, camera: str, frame: int, seed: int) -> Truth:
    depth, sky, hole = scene(seed, sky=False)
    images = root / name / "images"
    stem = f"frame.{frame:04d}"
    preview = images / f"scene_{camera}_final_preview" / f"{stem}.tonemap.jpg"
    write_picture(preview, picture(seed))
    geometry = images / f"scene_{camera}_geometry_hdf5"
    distance = hypersim_distance(depth).astype(np.float16)
    nan = hole.copy()
    nan[:, ::2] = False  # half of the holes by NaN, half by the entity
    distance[nan] = np.nan
    write_hdf5(geometry / f"{stem}.depth_meters.hdf5", distance)
    write_hdf5(geometry / f"{stem}.render_entity_id.hdf5", np.where(hole & ~nan, -1, 7).astype(np.int32))
    colour = np.random.default_rng(seed).gamma(2.0, 3.0, (*SIZE, 3)).astype(np.float16)
    write_hdf5(images / f"scene_{camera}_final_hdf5" / f"{stem}.color.hdf5", colour)
    return Truth(depth, sky, hole, preview, geometry / f"{stem}.depth_meters.hdf5", tolerance=1e-3)


def hypersim(root: Path) -> Built:
    built = Built(root)
    rows = ["scene_name,camera_name,frame_id,included_in_public_release,exclude_reason,split_partition_name"]
    frames = [
        ("ai_001_001", "cam_00", 0, True, "train"),
        ("ai_001_001", "cam_00", 11, True, "train"),
        ("ai_001_001", "cam_00", 12, False, ""),
        ("ai_004_009", "cam_01", 0, True, "train"),  # known to be broken
        ("ai_004_009", "cam_00", 3, True, "train"),
        ("ai_003_010", "cam_00", 5, True, "val"),
    ]
    for number, (name, camera, frame, public, split) in enumerate(frames):
        truth = hypersim_frame(root, name, camera, frame, number)
        reason = "" if public else "CONTENT FLAGGED FOR REMOVAL"
        rows.append(f"{name},{camera},{frame},{public},{reason},{split}")
        if split == "train" and (name, camera) != ("ai_004_009", "cam_01"):
            built.truths[f"{name}/images/scene_{camera}_final_preview/frame.{frame:04d}"] = truth
    (root / "metadata_images_split_scene_v1.csv").write_text("\n".join(rows) + "\n")
    return built


def virtual_kitti_2(root: Path) -> Built:
    scenes, variations = ["Scene01", "Scene20"], ["clone", "fog"]
    built = Built(root, options={"scenes": scenes, "variations": variations})
    for number in range(16):
        which, variation = scenes[number % 2], variations[number // 2 % 2]
        camera, frame = number // 4 % 2, number // 8
        depth, sky, hole = scene(number, sky=True, far=600)
        codes = np.round(depth * 100)
        depth = codes / 100
        codes[sky], codes[hole] = 65535, 0
        frames = root / which / variation / "frames"
        image_file = frames / "rgb" / f"Camera_{camera}" / f"rgb_{frame:05d}.jpg"
        depth_file = frames / "depth" / f"Camera_{camera}" / f"depth_{frame:05d}.png"
        write_picture(image_file, picture(number))
        write_png16(depth_file, codes)
        if camera == 0:
            sample_id = f"{which}/{variation}/frames/rgb/Camera_0/rgb_{frame:05d}"
            built.truths[sample_id] = Truth(depth, sky, hole, image_file, depth_file)
    return built


def irs(root: Path) -> Built:
    built = Built(root)
    for number, folder in enumerate(["Home/ModernHotelRoom", "Office/OfficeSet_Dark", "Store/Small/Nested"]):
        for frame in (1, 10):
            depth, sky, hole = scene(10 * number + frame, sky=False)
            disparity = 0.1 * 480 / depth
            disparity[hole] = 0
            disparity[hole & (np.arange(SIZE[1]) % 2 == 0)] = np.inf
            disparity[hole & (np.arange(SIZE[1]) % 3 == 0)] = 0.1 * 480 / 500  # 500 m away
            place = root / folder
            write_picture(place / f"l_{frame}.png", picture(number))
            write_picture(place / f"r_{frame}.png", picture(number + 50))
            write_exr(place / f"d_{frame}.exr", disparity)
            write_exr(place / f"n_{frame}.exr", np.zeros(SIZE))
            built.truths[f"{folder}/l_{frame}"] = Truth(
                depth, sky, hole, place / f"l_{frame}.png", place / f"d_{frame}.exr"
            )
    return built


def tartanair(root: Path) -> Built:
    built = Built(root)
    for number, folder in enumerate(["abandonedfactory/Easy/P000", "ocean/Hard/P002", "amusement/Easy/P001"]):
        for frame in (0, 1):
            depth, sky, hole = scene(10 * number + frame, sky=True, far=900)
            stored = depth.astype(np.float32)
            stored[sky] = 9999.5 if frame else 13107.2
            stored[hole] = 0
            image_file = root / folder / "image_left" / f"{frame:06d}_left.png"
            depth_file = root / folder / "depth_left" / f"{frame:06d}_left_depth.npy"
            write_picture(image_file, picture(number))
            write_npy(depth_file, stored)
            if not folder.startswith("amusement"):
                sample_id = f"{folder}/image_left/{frame:06d}_left"
                built.truths[sample_id] = Truth(depth, sky, hole, image_file, depth_file)
        (root / folder / "pose_left.txt").write_text("0 0 0 0 0 0 1\n")
    return built


def blended_mvs(root: Path) -> Built:
    built = Built(root)
    for number, project in enumerate(["5a3ca9cb270f0e3f14d0eddb", "BlendedMVS+/000000000000000000000001"]):
        for frame in (0, 3):
            depth, sky, hole = scene(10 * number + frame, sky=False, near=0.01, far=400)
            stored = depth.astype(np.float32)
            stored[hole] = 0
            stored[hole & (np.arange(SIZE[1]) % 2 == 0)] = -2.5
            images, maps = root / project / "blended_images", root / project / "rendered_depth_maps"
            write_picture(images / f"{frame:08d}.jpg", picture(number))
            write_picture(images / f"{frame:08d}_masked.jpg", picture(number))
            write_pfm(maps / f"{frame:08d}.pfm", stored)
            sample_id = f"{project}/blended_images/{frame:08d}"
            built.truths[sample_id] = Truth(
                depth, sky, hole, images / f"{frame:08d}.jpg", maps / f"{frame:08d}.pfm", tolerance=1e-5
            )
        (root / project / "cams").mkdir()
        (root / project / "cams" / "pair.txt").write_text("1\n0\n0\n")
    return built


def unreal_stereo_4k(root: Path) -> Built:
    built = Built(root)
    angle = 0.3
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    for number, (world, baseline, focal) in enumerate(
        [("00000", 0.31, 950.0), ("00003", 0.5, 1920.0), ("00008", 0.2, 1.0)]
    ):
        for frame in (0, 1):
            depth, sky, hole = scene(10 * number + frame, sky=True)
            disparity = baseline * focal / depth
            disparity[sky] = baseline * focal / 5000
            disparity[hole] = 0
            write_picture(root / world / "Image0" / f"{frame:05d}.png", picture(number, 4))
            write_picture(root / world / "Image1" / f"{frame:05d}.png", picture(number, 4))
            write_npy(root / world / "Disp0" / f"{frame:05d}.npy", disparity.astype(np.float32))
            left = np.array([3.0, -1.0, 7.0])
            right = left + turn.T @ np.array([baseline, 0, 0])  # along the left camera's own x axis
            for side, centre in enumerate([left, right]):
                k = [focal, 0, SIZE[1] / 2, 0, focal, SIZE[0] / 2, 0, 0, 1]
                pose = np.concatenate([turn, (-turn @ centre)[:, None]], axis=1)
                path = root / world / f"Extrinsics{side}" / f"{frame:05d}.txt"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(
                    " ".join(repr(float(v)) for v in k) + "\n" + " ".join(repr(float(v)) for v in pose.ravel()) + "\n"
                )
            if world != "00008":
                built.truths[f"{world}/Image0/{frame:05d}"] = Truth(
                    depth, sky, hole, root / world / f"Image0/{frame:05d}.png", root / world / f"Disp0/{frame:05d}.npy",
                    tolerance=1e-5,
                )  # fmt: skip
    return built


def rendered(root: Path) -> Built:
    built = Built(root)
    samples = {}
    for number, name in enumerate(["indoor/a_0001", "outdoor/a_0002", "outdoor/b_0003"]):
        depth, sky, _ = scene(number, sky=number > 0)
        scale = 0.002 * (number + 1)
        codes = np.round(depth / scale)
        depth = codes * scale
        codes[sky] = 0
        image_file, depth_file = root / "images" / f"{name}.jpg", root / "depth" / f"{name}.png"
        write_picture(image_file, picture(number))
        write_png16(depth_file, codes)
        samples[f"images/{name}.jpg"] = {"depth_scale": scale, "scene": "x", "seed": [5, number], "families": []}
        built.truths[f"images/{name}"] = Truth(depth, sky, np.zeros(SIZE, bool), image_file, depth_file)
    (root / "annotations.json").write_text("{}")
    (root / "metadata.json").write_text(json.dumps({"format": 1, "samples": samples}))
    return built


def folder_depth(root: Path) -> Built:
    built = Built(root, options={"list": "train.txt", "unit": 0.001})
    lines = ["/kitchen_0001/rgb_00009.jpg None 518.8579", ""]
    for number, name in enumerate(["kitchen_0001", "bath_0002", "bath_0002"]):
        depth, sky, hole = scene(number, sky=False)
        codes = np.round(depth * 1000)
        depth = codes / 1000
        codes[hole] = 0
        image_file = root / name / f"rgb_{number:05d}.jpg"
        depth_file = root / name / f"sync_depth_{number:05d}.png"
        write_picture(image_file, picture(number))
        write_png16(depth_file, codes)
        lines.append(f"/{name}/rgb_{number:05d}.jpg /{name}/sync_depth_{number:05d}.png 518.8579")
        built.truths[f"{name}/rgb_{number:05d}"] = Truth(depth, sky, hole, image_file, depth_file)
    (root / "train.txt").write_text("\n".join(lines))
    return built


BUILDERS: dict[str, Callable[[Path], Built]] = {
    "blended-mvs": blended_mvs,
    "folder-depth": folder_depth,
    "hypersim": hypersim,
    "irs": irs,
    "rendered": rendered,
    "tartanair": tartanair,
    "unreal-stereo-4k": unreal_stereo_4k,
    "virtual-kitti-2": virtual_kitti_2,
}
