"""What is made of the texts of TensorRT: real ones, each with where it comes from.

Those of TensorRT are from reports of users on GPUs, for its library runs on none of the machines of these
tests. Those of TensorRT-RTX's parser and builder are also provoked, see test_parser_refusals.py.
"""

import re

import pytest

from maskclr_edge.deploy.engine_errors import translate, translate_parser
from maskclr_edge.runtime.trt_engine import _REASONS

BUILD = "IBuilder::buildSerializedNetwork: Error Code"
# (errors in their order, words of the line that is made of them)
BUILDER = {
    # NVIDIA/TensorRT issue 4258: TensorRT 10.3, RTX 4060 and Jetson
    "out of memory": (
        [
            "[defaultAllocator.cpp::allocate::31] Error Code 1: Cuda Runtime (out of memory)",
            "Error Code: 9: Skipping tactic 0x0000000000000000 due to exception "
            "[tunable_graph.cpp:create:117] autotuning: User allocator error "
            "allocating 15485030400-byte buffer",
            f"{BUILD} 10: Internal Error (Could not find any implementation for node "
            "{ForeignNode[backbone.blocks_ts.0.attn_t/MatMul...backbone.norm/LayerNormalization]}.)",
        ],
        ["ran out of memory", "--workspace"],
    ),
    # the same release on an Orin Nano, as reported for a pooling layer: what was skipped is not the reason
    "no implementation": (
        [
            "Skipping tactic 0x0000000000000001 due to exception Cask Pooling Runner Execute Failure",
            f"{BUILD} 10: Internal Error (Could not find any implementation for node "
            "{ForeignNode[backbone.blocks_ts.0.attn_t/MatMul...backbone.norm/LayerNormalization]}.)",
        ],
        ["no kernel of this TensorRT", "at temporal attention of block 0, stream TS, to the last LayerNorm"],
    ),
    # text in the library of TensorRT-RTX 1.7, from TensorRT's builder
    "no workspace": (
        [
            "Could not find any implementation for node head/Gemm due to insufficient workspace. See "
            "verbose log for requested sizes."
        ],
        ["ran out of memory", "at the classification head"],
    ),
    # TensorRT-LLM on a GPU without FP8
    "fp8": (
        [f"{BUILD} 9: API Usage Error (Networks with FP8 Q/DQ layers require hardware with FP8 support.)"],
        ["FP8 needs SM89", "another precision"],
    ),
    # TensorRT-RTX 1.7, bf16 for SM75
    "bf16": (
        [
            f"{BUILD} 1: Myelin ([pass.cpp:1500: run_passes] Cannot compile for target(s) sm75, because the "
            "model contains HW-specific datatypes: b16. In compileGraph at /_src/codeGenerator.cpp:2012)"
        ],
        ["BF16 needs SM80", "take fp16"],
    ),
    # torch2trt on a GTX 1080
    "old gpu": (
        [f"{BUILD} 9: API Usage Error (Target GPU SM 61 is not supported by this TensorRT release."],
        ["no GPU as old as this one"],
    ),
    # TensorRT 10.14 and 10.16; the Python class raises TypeError after it
    "driver": (
        [
            "createInferBuilder: Error Code 6: API Usage Error (CUDA initialization failure with error: 35. "
            "Please check your CUDA installation: http://docs.nvidia.com/cuda)"
        ],
        ["no GPU here with a fitting driver"],
    ),
    "profile": (
        [
            f"{BUILD} 4: API Usage Error (Dimension mismatch for tensor persons and profile 0. At "
            "dimension axis 2, profile has min=18, opt=18, max=18 but tensor has 17.)"
        ],
        ["check --frames and --persons"],
    ),
    "static": (
        [
            f"{BUILD} 4: API Usage Error (Input tensor persons has static dimensions that don't match kMIN "
            "dimensions in profile index 1. Input dimensions are [1,6] but profile dimensions are [1,1].)"
        ],
        ["check --frames and --persons"],
    ),
    "unknown": (
        ["Error Code 9: Skipping tactic 0x3e8", "Error Code 1: something\nelse at head/Gemm"],
        ["cannot be built at the classification head: Error Code 1: something else"],
    ),
    "silent": ([], ["the builder gave no reason"]),
}
# TensorRT and what is wrong with the file: which release, GPU or report has said it
LOADING = {
    # TensorRT 10.9 to 10.16, and 11.2 with 243 and 244
    "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Serialization assertion stdVersionRead == "
    "kSERIALIZATION_VERSION failed.Version tag does not match. Note: Current Version: 240, Serialized Engine "
    "Version: 239)": "another version built it",
    # TensorRT 8 to 10; the text is in TensorRT-RTX 1.7 as well
    "The engine plan file is not compatible with this version of TensorRT, expecting library version 8.5.2.2 "
    "got 8.5.1.7, please rebuild.": "another version built it",
    "The engine has been created with TensorRT-RTX version 1.5.0, but the current runtime is TensorRT-RTX "
    "version 1.7.1. Rebuild the engine with the same version of TensorRT-RTX as the current runtime.":
        "another version built it",
    # deepinsight/insightface issue 2882: TensorRT 10.8
    "IRuntime::deserializeCudaEngine: Error Code 6: API Usage Error (The engine plan file is generated on an "
    "incompatible device, expecting compute 8.9 got compute 8.6, please rebuild.)":
        "it was built for another GPU",
    "The current device is not compatible with this hardware-compatible engine. Expected compute capability "
    ">= 8.0": "it was built for another GPU",
    "The engine cannot run on this GPU, which has compute capability 9.0. TensorRT-RTX does not support this "
    "compute capability, so the engine cannot be rebuilt for it.": "it was built for another GPU",
    # TensorRT 8.5 with an engine that was cut
    "[stdArchiveReader.cpp::StdArchiveReader::57] Error Code 1: Serialization (Serialization assertion "
    "sizeRead == static_cast<uint64_t>(mEnd - mCurrent) failed.Size specified in header does not match "
    "archive size)": "it was cut short",
    "Serialization assertion plan.header.size == blobSize failed.": "it was cut short",
    "Serialization assertion header.magicTag == kEXPECTED_MAGIC_TAG failed.": "it is no engine of this kind",
    # TensorRT 8.2 and 10
    "Error Code 1: Serialization (Serialization assertion magicTagRead == kMAGIC_TAG failed.Magic tag does "
    "not match)": "it is no engine of this kind",
    "Cannot deserialize engine with lean runtime since IRuntime::getEngineHostCodeAllowed() is false.":
        "it brings a runtime of its own",
    "createInferRuntime: Error Code 6: API Usage Error (CUDA initialization failure with error: 35.":
        "there is no GPU with a fitting driver",
    "[defaultAllocator.cpp::allocate::31] Error Code 1: Cuda Runtime (out of memory)":
        "the GPU has too little free memory",
}  # fmt: skip


@pytest.mark.parametrize("name", BUILDER)
def test_what_the_builder_says(name: str) -> None:
    errors, expected = BUILDER[name]
    text = translate("engine", errors)
    assert "\n" not in text
    assert len(text) < 700
    for words in expected:
        assert words in text


@pytest.mark.parametrize("words", LOADING)
def test_what_the_runtime_says(words: str) -> None:
    found = next((reason for pattern, reason in _REASONS if re.search(pattern, words)), "nothing")
    assert found.startswith(LOADING[words])


def test_operations_that_an_old_parser_has_not() -> None:
    """TensorRT 8 and 9 name them; from 10 on the parser looks for a plugin of the name and finds none."""
    from_10 = 'creator && "Plugin not found, are the plugin name, version, and namespace correct?"'
    for words in (from_10, "No importer registered for op: Gelu"):
        text = translate_parser("engine", "backbone.blocks_st.2.mlp_t/Gelu", "Gelu", words)
        assert "which is the MLP of block 2, stream ST: it has no Gelu; opset 20 has it" in text


def test_a_machine_without_a_gpu_is_not_the_reason() -> None:
    """TensorRT-RTX's parser adds that there is no driver, which is not why it refuses."""
    words = (
        "Invalid Node - pool/Add\nITensor::getDimensions: Error Code 4: types differ\n"
        "[checkMacros.cpp::catchCudaError::250] Error Code 1: Cuda Runtime (no CUDA-capable device)"
    )
    text = translate_parser("engine", "pool/Add", "Add", words)
    assert "types differ; export the model again" in text
    assert "no CUDA-capable device" in translate("engine", [words.splitlines()[-1]])
