"""Where the datasets that may be downloaded come from: addresses, checksums and what each file brings. Data only."""

from __future__ import annotations

from dataclasses import dataclass

from dabench.datasets.eth3d import SCENE_IMAGES
from dabench.datasets.moge_eval import SETS

GIGA = 1 << 30


@dataclass(frozen=True)
class File:
    """One file to download.

    Attributes:
        url: an address, or a path below the hub's (``HF_ENDPOINT``, or huggingface.co) if it starts with ``/``.
        brings: paths below the dataset's root that exist once the file is in place; where they do, it is not fetched.
        splits: the splits that need it; all, if none are named.
        checksum: ``sha256:...`` or ``md5:...`` as the publisher gives it, or none.
        size: in bytes, where the publisher gives it.
        folder: the archive may lack this topmost folder; its content then goes there.
        archive: unpack it; otherwise the file itself is what is wanted.
        unpacked_bytes: more than this is refused.
    """

    url: str
    brings: tuple[str, ...]
    splits: tuple[str, ...] = ()
    checksum: str | None = None
    size: int | None = None
    folder: str = ""
    archive: bool = True
    unpacked_bytes: int = 16 * GIGA

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Source:
    """Where a dataset comes from.

    Attributes:
        files: in the order in which they are fetched.
        licence: shown before the download.
        page: for people.
        splits: fetched if nothing else is asked for; all, if none are named.
    """

    files: tuple[File, ...]
    licence: str
    page: str
    splits: tuple[str, ...] = ()


# The revision is the one that two public evaluation scripts pin; the SHA-256 is from the report of a public full run
# (2068 pairs on 1033 images), which compared it with the hub's own page of the file.
DA_2K = Source(
    files=(
        File(
            "/datasets/depth-anything/DA-2K/resolve/528f83c26f02a6a7a11c5a036dfc9ee19907ebd9/DA-2K.zip",
            brings=("annotations.json", "images"),
            checksum="sha256:ff0e48e7cc53273efd1312610e51f1ec87bea0b8a22daf37125fd81246592b81",
            unpacked_bytes=8 * GIGA,
        ),
    ),
    licence="Apache-2.0 (annotations; the images keep their own licences)",
    page="https://huggingface.co/datasets/depth-anything/DA-2K",
)

# diode-dataset/diode-devkit, README.md
DIODE = Source(
    files=(
        File(
            "https://diode-dataset.s3.amazonaws.com/val.tar.gz",
            brings=("val",),
            checksum="md5:5c895d09201b88973c8fe4552a67dd85",
        ),
    ),
    licence="MIT",
    page="https://diode-dataset.org",
)

SINTEL = Source(
    files=(
        File(
            "https://files.is.tue.mpg.de/sintel/MPI-Sintel-training_images.zip",
            brings=("training/clean", "training/final"),
        ),
        File(
            "https://files.is.tue.mpg.de/jwulff/sintel/MPI-Sintel-depth-training-20150305.zip",
            brings=("training/depth", "training/camdata_left"),
        ),
    ),
    licence="free for research with citation (Butler et al., ECCV 2012); the film is CC-BY-3.0, Blender Foundation",
    page="http://sintel.is.tue.mpg.de/depth",
)

NYU_D = Source(
    files=(
        File(
            "https://horatio.cs.nyu.edu/mit/silberman/nyu_depth_v2/nyu_depth_v2_labeled.mat",
            brings=("nyu_depth_v2_labeled.mat",),
            archive=False,
        ),
        File(
            "https://horatio.cs.nyu.edu/mit/silberman/indoor_seg_sup/splits.mat",
            brings=("splits.mat",),
            archive=False,
        ),
    ),
    licence="not stated; for research, with citation (Silberman et al., ECCV 2012)",
    page="https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html",
)


def _eth3d() -> tuple[File, ...]:
    files: list[File] = []
    for scene in SCENE_IMAGES:
        for archive, brings, splits in (
            ("dslr_jpg", "images/dslr_images", ("distorted",)),
            ("dslr_undistorted", "images/dslr_images_undistorted", ("undistorted",)),
            ("dslr_depth", "ground_truth_depth/dslr_images", ("distorted", "undistorted")),
        ):
            url = f"https://www.eth3d.net/data/{scene}_{archive}.7z"
            files.append(File(url, brings=(f"{scene}/{brings}",), splits=splits))
    return tuple(files)


ETH3D = Source(files=_eth3d(), licence="CC-BY-NC-SA-4.0", page="https://www.eth3d.net/datasets", splits=("distorted",))

MOGE_EVAL = Source(
    files=tuple(
        File(
            f"/datasets/Ruicheng/monocular-geometry-evaluation/resolve/main/{bundled.folder}.zip",
            brings=(bundled.folder,),
            splits=(name,),
            folder=bundled.folder,
            unpacked_bytes=64 * GIGA,
        )
        for name, bundled in SETS.items()
    ),
    licence="that of each dataset in it; mostly non-commercial, for research",
    page="https://huggingface.co/datasets/Ruicheng/monocular-geometry-evaluation",
)

FETCHABLE = {
    "da-2k": DA_2K,
    "diode": DIODE,
    "eth3d": ETH3D,
    "moge-eval": MOGE_EVAL,
    "nyu-d": NYU_D,
    "sintel": SINTEL,
}
