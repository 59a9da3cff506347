async def test_what_all_runs_of_a_project_share(solo):
    engine = solo("async def a(input, ctx):\n    return 1\n")
    world = await engine.workspace.world(engine.plan, engine.directory)
    project = world.project
    assert project.directory == engine.directory
    assert project.scopes("start") is project.scopes("start")
    assert project.address
    assert (await engine.workspace.world(engine.plan, engine.directory)) is world
