"""Lists that commands print."""

import pytest

from engine.operate.commands.table import print_rows


def test_no_cell_is_a_formula(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[list[object]] = [["=1+1", 1], ["@SUM(A1)", -1], ["-1", None], ["hello", "+49"]]

    print_rows(("user", "turns"), rows, "csv")

    assert capsys.readouterr().out.splitlines() == [
        *("user,turns", "'=1+1,1", "'@SUM(A1),-1", "'-1,", "hello,'+49")
    ]
