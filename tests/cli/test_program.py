"""The program itself: usage, help, version, interruption."""

import pytest

from echopulse.cli import main


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["generate"], ["generate", "x.csv", "--ef", "half"], ["train", "poet"], ["simulate"],
     ["simulate", "--out", "a", "--bank", "b"], ["measure"], ["tokenize", "x.mp4"], ["decode", "x.npz"],
     ["bench", "--only", "speed"], ["ecg"], ["ecg", "x.csv", "--at", "noon"]],
)  # fmt: skip
def test_wrong_use_ends_with_two_and_says_how_to_do_it(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2 and "usage: echopulse" in capsys.readouterr().err


@pytest.mark.parametrize(
    "verb",
    ["generate", "ecg", "simulate", "measure", "tokenize", "decode", "train", "adapt", "evaluate", "compare", "bench"],
)
def test_every_command_explains_itself_with_an_example(verb, capsys):
    with pytest.raises(SystemExit) as end:
        main([verb, "--help"])
    said = capsys.readouterr().out
    assert end.value.code == 0 and f"echopulse {verb} " in said.split("example:")[1]


def test_the_version_is_that_of_the_package(capsys):
    from echopulse import __version__

    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0 and capsys.readouterr().out.strip() == f"echopulse {__version__}"


def test_being_interrupted_is_no_traceback(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("echopulse.data.export.export", interrupted)
    assert main(["simulate", "--out", "x"]) == 1 and capsys.readouterr().err == "Stopped.\n"
