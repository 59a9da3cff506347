"""Against a published server package, as it is installed; and what the library is kept from saying."""

import sys

from clew.tools.mcp import LIBRARY, _load


async def test_the_time_server_over_stdio(call, failing, servers):
    entry = {"command": [sys.executable, "-m", "mcp_server_time"]}
    offers = await servers.offers("time", entry)
    assert set(offers) == {"get_current_time", "convert_time"}
    pin = offers["convert_time"].pin
    args = {"source_timezone": "Europe/Berlin", "time": "12:00", "target_timezone": "Asia/Tokyo"}
    answer = await call("convert_time", args, entry=entry, pin=pin)
    assert answer["source"]["timezone"] == "Europe/Berlin"
    assert answer["time_difference"] in ("+7.0h", "+8.0h")
    failure = await failing("get_current_time", {"timezone": "Nowhere/None"}, entry=entry)
    assert failure.code == "tool_failed"
    assert "Nowhere/None" in failure.message


async def test_what_a_server_gets_wrong_is_not_written_anywhere(call, failing, caplog, capfd):
    await call("garbage")
    await failing("malformed")
    await failing("die")
    assert not [record for record in caplog.records if record.name.startswith(("mcp", "client"))]
    assert capfd.readouterr().err == ""


async def test_a_library_that_is_missing_is_named(failing, monkeypatch):
    monkeypatch.setattr("clew.tools.mcp.LIBRARY", ("clew.tools.mcp.no_such:Thing", "mcp"))
    failure = await failing("echo")
    assert failure.code == "no_adapter"
    assert "clew[mcp]" in str(failure)
    monkeypatch.setattr("clew.tools.mcp.LIBRARY", LIBRARY)
    assert _load().__name__ == "McpConnection"
