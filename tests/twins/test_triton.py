"""`fast-nst export --triton`: a model repository as Triton's own schema reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from fast_nst import Stylizer
from fast_nst.arguments import ExportOptions
from fast_nst.cli import main
from fast_nst.twins.export import export_file

# Of protobuf/model_config.proto in triton-inference-server/common: name, number, type, repeated.
DATA_TYPES = {"TYPE_INVALID": 0, "TYPE_UINT8": 2, "TYPE_FP16": 10, "TYPE_FP32": 11}
MESSAGES = {
    "ModelInput": (("name", 1, "string", 0), ("data_type", 2, "DataType", 0), ("dims", 4, "int64", 1)),
    "ModelOutput": (("name", 1, "string", 0), ("data_type", 2, "DataType", 0), ("dims", 3, "int64", 1)),
    "ModelDynamicBatching": (("preferred_batch_size", 1, "int32", 1),),
    "ModelParameter": (("string_value", 1, "string", 0),),
    "ModelConfig": (
        *(("name", 1, "string", 0), ("platform", 2, "string", 0), ("max_batch_size", 4, "int32", 0)),
        *(("input", 5, "ModelInput", 1), ("output", 6, "ModelOutput", 1), ("backend", 17, "string", 0)),
        *(("dynamic_batching", 11, "ModelDynamicBatching", 0), ("parameters", 14, "ParametersEntry", 1)),
    ),
}


def parse(text: str) -> Any:
    """The ModelConfig that Triton would see; unknown fields and wrong types raise."""
    file = descriptor_pb2.FileDescriptorProto(name="model_config.proto", package="inference", syntax="proto3")
    values = file.enum_type.add(name="DataType").value
    for name, number in DATA_TYPES.items():
        values.add(name=name, number=number)
    kind = descriptor_pb2.FieldDescriptorProto
    for message, fields in MESSAGES.items():
        added = file.message_type.add(name=message)
        for name, number, what, repeated in fields:
            field = added.field.add(name=name, number=number)
            field.label = kind.LABEL_REPEATED if repeated else kind.LABEL_OPTIONAL
            if what[0].islower():
                field.type = kind.Type.Value(f"TYPE_{what.upper()}")
            else:
                field.type = kind.TYPE_ENUM if what == "DataType" else kind.TYPE_MESSAGE
                field.type_name = (
                    ".inference.ModelConfig.ParametersEntry"
                    if what == "ParametersEntry"
                    else f".inference.{what}"
                )
    entry = file.message_type[-1].nested_type.add(name="ParametersEntry")  # map<string, ModelParameter>
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=kind.TYPE_STRING, label=kind.LABEL_OPTIONAL)
    value = entry.field.add(name="value", number=2, type=kind.TYPE_MESSAGE, label=kind.LABEL_OPTIONAL)
    value.type_name = ".inference.ModelParameter"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    config = message_factory.GetMessageClass(pool.FindMessageTypeByName("inference.ModelConfig"))
    return text_format.Parse(text, config())


def tensors(values: Any) -> dict[str, tuple[int, list[int]]]:
    return {value.name: (value.data_type, list(value.dims)) for value in values}


def test_a_repository_holds_the_file_and_its_config(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "strokes", "--triton", str(tmp_path / "models")]) == 0
    folder = tmp_path / "models" / "strokes"
    assert capsys.readouterr().out.strip() == str(folder)
    config = parse((folder / "config.pbtxt").read_text())
    assert (config.name, config.backend) == ("strokes", "onnxruntime")
    assert config.max_batch_size > 1
    assert config.HasField("dynamic_batching")
    assert tensors(config.input) == {"image": (DATA_TYPES["TYPE_UINT8"], [-1, -1, 3])}
    assert tensors(config.output) == {"stylized": (DATA_TYPES["TYPE_UINT8"], [-1, -1, 3])}
    assert config.parameters["enable_mem_pattern"].string_value == "0"
    image = np.full((9, 11, 3), 90, np.uint8)
    assert np.array_equal(Stylizer(folder / "1" / "model.onnx")(image), Stylizer("strokes")(image))


def test_a_file_of_many_styles_takes_weights_for_each_picture(gallery_model: Path, tmp_path: Path) -> None:
    folder, _ = export_file(str(gallery_model), ExportOptions(triton=tmp_path))
    config = parse((folder / "config.pbtxt").read_text())
    assert tensors(config.input)["style_weights"] == (DATA_TYPES["TYPE_FP32"], [3])
    folder, _ = export_file(f"{gallery_model}:waves:1+udnie:2", ExportOptions(triton=tmp_path))
    config = parse((folder / "config.pbtxt").read_text())
    assert config.name == folder.name  # Triton asks that of it
    assert ":" not in config.name
    assert list(tensors(config.input)) == ["image"]
    assert len(list(tmp_path.iterdir())) == 2


def test_other_forms_say_what_they_take(gallery_model: Path, tmp_path: Path) -> None:
    name = f"{gallery_model}:waves"
    folder, _ = export_file(name, ExportOptions(triton=tmp_path, form="float", precision="fp16"))
    config = parse((folder / "config.pbtxt").read_text())
    assert tensors(config.input) == {"image": (DATA_TYPES["TYPE_FP16"], [3, -1, -1])}
    assert tensors(config.output) == {"stylized": (DATA_TYPES["TYPE_FP16"], [3, -1, -1])}
    folder, _ = export_file(name, ExportOptions(triton=tmp_path, size="64x48"))
    config = parse((folder / "config.pbtxt").read_text())
    assert config.max_batch_size == 0  # dims are those of the whole tensor then
    assert not config.HasField("dynamic_batching")
    assert tensors(config.input) == {"image": (DATA_TYPES["TYPE_UINT8"], [1, 48, 64, 3])}
