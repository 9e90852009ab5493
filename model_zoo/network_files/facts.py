"""What a network file says of itself, in the one JSON text that `dabench export` writes into it.

ONNX keeps it among its ``metadata_props``, OpenVINO in the ``rt_info`` of its XML, TorchScript as an extra file; the
key is ``dabench`` everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dabench.errors import ModelError
from dabench.types import Output

KEY = "dabench"
SCHEMA = 1


@dataclass(frozen=True)
class FileFacts:
    """The statements of a file.

    Attributes:
        name: the model that it was made from.
        output: ``disparity``, ``depth`` or ``metric``.
        mean_std, resize, channels: as :class:`~.input_rule.InputRule` has them.
        input_size: short side of the network input in pixels that the network was made for.
        multiple: sides of the network input are multiples of it.
        max_depth: in metres, of a metric network.
        weights_sha256: of the weight file that it was made from.
        source, licence: of those weights.
        parameters: their number.
        precision: ``fp32`` or ``fp16``.
    """

    name: str
    output: str
    mean_std: str
    resize: str
    channels: str
    input_size: int
    multiple: int
    max_depth: float | None = None
    weights_sha256: str | None = None
    source: str | None = None
    licence: str | None = None
    parameters: int | None = None
    precision: str = "fp32"

    def text(self) -> str:
        return json.dumps({"schema": SCHEMA, **asdict(self)}, sort_keys=True)


def parse(text: str | None, path: Path) -> FileFacts | None:
    """The facts in a file's text; None if it has none.

    Raises:
        ModelError: a text that cannot be read, or of a newer dabench.
    """
    if not text:
        return None
    try:
        content: Mapping[str, Any] = json.loads(text)
        if content["schema"] != SCHEMA:
            raise ModelError(f"{path} was exported by a newer dabench (schema {content['schema']})", hint="update it")
        known = {key: content[key] for key in FileFacts.__dataclass_fields__ if key in content}
        facts = FileFacts(**known)
        Output(facts.output)
        if not (facts.input_size > 0 and facts.multiple > 0):
            raise ValueError("input_size and multiple are counts")
        return facts
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: its 'dabench' metadata is damaged: {error}", hint="export it again") from error
