def work(input, ctx):
    return input
