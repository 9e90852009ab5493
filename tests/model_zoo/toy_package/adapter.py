"""The adapter of the toy package, as anybody would write one."""

from dabench_worker import versions_of


def load(request):
    from toy_depth import ToyDepth

    model = ToyDepth(request["settings"]["scale"])
    return model.infer, {"parameters": 1, "versions": versions_of("toy-depth", "typer")}
