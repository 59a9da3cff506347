from clew.agents.code.diff import unified


def test_a_change_as_patch_reads_it():
    assert unified("a/b.py", b"x = 1\ny = 2\n", b"x = 1\ny = 3\n") == (
        "--- a/a/b.py\n+++ b/a/b.py\n@@ -1,2 +1,2 @@\n x = 1\n-y = 2\n+y = 3\n"
    )


def test_a_missing_last_newline_is_told():
    text = unified("m.py", b"x = 1", b"x = 2")
    assert text.count("\\ No newline at end of file") == 2
    assert text.endswith("+x = 2\n\\ No newline at end of file\n")


def test_no_change_is_an_empty_diff():
    assert unified("m.py", b"x", b"x") == ""
