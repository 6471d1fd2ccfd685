"""One real deployment of nine nodes, brought up once for all tests of `test_real_deployment`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from lab import plan, reaper
from lab.deploy import deployed
from lab.protocols import Deployment, RunFiles


class Lab:
    """A deployment and the loop it lives in: `lab(coroutine)` runs one there."""

    def __init__(self, runner: asyncio.Runner, deployment: Deployment) -> None:
        self._runner, self.deployment = runner, deployment

    def __call__(self, main: Coroutine[Any, Any, Any], within_s: float = 90) -> Any:
        return self._runner.run(asyncio.wait_for(main, within_s))


@pytest.fixture(scope="module")
def real_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    directory = tmp_path_factory.mktemp("deployment")
    this = plan.make(str(Path("experiments/gray-region.yaml").resolve()), arm="jetstream-stretched", runtime="process")
    os.environ[reaper.MARK] = str(directory)  # nodes inherit it: a killed pytest leaves nothing behind
    watcher = reaper.start(directory)
    stack = AsyncExitStack()
    with asyncio.Runner() as runner:
        try:
            runtime = plan.runtime_of(this, RunFiles(directory))
            begin = stack.enter_async_context(deployed(this, runtime, plan.network_of(this)))
            yield Lab(runner, runner.run(begin))
        finally:
            runner.run(stack.aclose())
            del os.environ[reaper.MARK]
            assert watcher.stdin is not None
            watcher.stdin.close()
            watcher.wait(30)
    assert list(reaper.marked(directory)) == []
