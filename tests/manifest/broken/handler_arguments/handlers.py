def none():
    pass


def three(input, ctx, more):
    pass


def keyword(input, ctx, *, needed):
    pass


def generator(input, ctx):
    yield input


async def fine(input, ctx, more=1, *rest, named=2):
    pass
