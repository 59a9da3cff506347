import ctypes

from harness import must_fail, syscall

attributes = ctypes.create_string_buffer(144)
must_fail(
    **{f"bpf_{command}": syscall(321, 280, command, attributes, 144) for command in range(37)},
    perf=syscall(298, 241, attributes, 0, -1, -1, 0),
)
