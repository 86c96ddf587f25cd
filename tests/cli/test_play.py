"""`eir play`: pictures that are whole, and mistakes that leave none behind."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image
from tiny_bundle import make_keys, write_tiny_bundle

from eir_ros.cli import main as cli
from sim import drawing, movie, pen
from sim.drawing import Beliefs, Frame, draw, draw_sheet
from sim.episode import Film
from sim.scene import Box, Disc, Line, Scene
from training import checkpoint
from training.attacks import make_attack
from training.attacks.play import Arena
from training.recipe import read_recipe

SHIPPED = Path(__file__).resolve().parents[2] / "policies" / "coverage"
RECIPES = Path(__file__).resolve().parents[2] / "config" / "recipes"
SHORT = ("--option", "episode_decisions=8")


class Said(NamedTuple):
    """What the command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["eir", "play", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return Said(int(end.value.code or 0), " ".join(out.split()), " ".join(err.split()))

    return run


def test_a_gif_moves_and_ends_with_the_episode(play, tmp_path):
    said = play("swarm-coverage", "--random", *SHORT, "--out", tmp_path / "a.gif")
    assert said.code == 0, said.err
    assert "9 frames in" in said.out
    assert "time is up after 8 steps" in said.out
    film = Image.open(tmp_path / "a.gif")
    assert film.n_frames == 9
    first = np.asarray(film.convert("RGB"))
    film.seek(8)
    assert (np.asarray(film.convert("RGB")) != first).any()
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def test_one_moment_is_enough_for_every_sort_of_file(play, tmp_path):
    for name in ("a.gif", "a.png"):
        assert play("swarm-coverage", "--steps", 1, "--out", tmp_path / name).code == 0
        assert Image.open(tmp_path / name).width > 300


def test_a_sheet_of_six_moments_is_said_to_hold_the_whole_episode(play, tmp_path):
    said = play("swarm-coverage", "--steps", 8, "--out", tmp_path / "a.png")
    assert f"6 moments of 9 in {tmp_path / 'a.png'}" in said.out
    said = play("swarm-coverage", "--steps", 1, "--out", tmp_path / "b.png")
    assert "2 frames in" in said.out


def test_the_same_seed_gives_the_same_picture(play, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert (
            play("swarm-coverage", *SHORT, "--seed", seed, "--out", tmp_path / f"{name}.png")[0]
            == 0
        )
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_a_signed_team_plays_with_its_beliefs_and_a_traitor(play, tmp_path):
    said = play(
        *("swarm-coverage", "--bundle", SHIPPED, "--fault", "r2:adversary@0", "--steps", 6),
        *("--out", tmp_path / "a.png"),
    )
    assert said.code == 0, said.err
    picture = Image.open(tmp_path / "a.png").convert("RGB")
    colours = {colour for _, colour in picture.getcolors(1 << 24)}
    assert pen.channels(pen.FILL["faulty"]) in colours
    plain = play("swarm-coverage", "--random", "--steps", 6, "--out", tmp_path / "b.png")
    assert plain.code == 0
    assert Image.open(tmp_path / "b.png").height < picture.height  # no beliefs below the scenes


def test_a_fault_of_the_body_is_seen_and_any_robot_may_have_it(play, tmp_path):
    said = play(
        *("swarm-coverage", "--fault", "r1:stop@0", "--fault", "r3:random_action@1", *SHORT),
        *("--out", tmp_path / "a.png"),
    )
    assert said.code == 0, said.err


def test_the_camera_films_both_bodies_and_keeps_captions_beside_them(play, tmp_path):
    films = []
    for body in ("planar", "wheels"):
        said = play(
            *("swarm-coverage", "--camera", "--option", f"world={{body: {body}}}", "--steps", 2),
            *("--out", tmp_path / f"{body}.gif"),
        )
        assert said.code == 0, said.err
        films.append(Image.open(tmp_path / f"{body}.gif"))
    above = play("swarm-coverage", "--steps", 2, "--out", tmp_path / "above.gif")
    assert above.code == 0
    assert films[0].n_frames == films[1].n_frames == 3
    assert films[0].width > Image.open(tmp_path / "above.gif").width
    assert (np.asarray(films[0].convert("L")) != np.asarray(films[1].convert("L"))).any()


#: Run folders with untrained teams: recipe and changes.
RUNS = {
    "toy": ("toy", ["options.episode_steps=5"]),
    "lbf": ("lbf", ["environment=lbf-6x6-3p-2f-c", "options.episode_limit=5"]),
    "smac": ("smac", ["options.episode_limit=5"]),
    "coverage": ("coverage", ["options.episode_decisions=5"]),
    "mappo": ("toy", ["method=mappo", "options.episode_steps=5"]),
}


@pytest.fixture
def run_folder(tmp_path_factory):
    def make(name: str) -> Path:
        recipe, changes = RUNS[name]
        path = tmp_path_factory.mktemp(name) / checkpoint.FILE
        read = read_recipe(RECIPES / f"{recipe}.yaml", ["width=8", "steps=5", *changes])
        checkpoint.save(checkpoint.fresh(read), path)
        return path.parent

    return make


def colours(path: Path) -> set[tuple[int, int, int]]:
    picture = Image.open(path).convert("RGB")
    return {colour for _, colour in picture.getcolors(1 << 24)}


@pytest.mark.parametrize("world", ["toy", "lbf", "smac", "coverage"])
def test_a_team_in_training_plays_with_its_traitor_crossed_out(play, run_folder, tmp_path, world):
    run = run_folder(world)
    faulty = pen.channels(pen.FILL["faulty"])
    said = play("--run", run, "--traitor", 1, "--out", tmp_path / "a.png")
    assert said.code == 0, said.err
    assert "6 frames in" in said.out
    assert faulty in colours(tmp_path / "a.png")
    quiet = play("--run", run, "--out", tmp_path / "b.png")
    assert quiet.code == 0, quiet.err
    assert faulty not in colours(tmp_path / "b.png")


def test_the_episode_that_is_drawn_is_the_one_that_is_judged(run_folder):
    run = checkpoint.load(checkpoint.find(run_folder("smac")))
    arena = Arena(run, batch=1)
    plain = arena.play(make_attack("learned"), 1, [3], agent=1)
    film = Film(arena.env)
    drawn = arena.play(make_attack("learned"), 1, [3], agent=1, film=film)
    assert drawn.returns == pytest.approx(plain.returns)
    assert f"return {plain.returns[0]:.1f}" in film.frames[-1].scene.captions[-1]
    for moment, frame in zip(plain.p_adversary[:, 0], film.frames, strict=False):
        assert frame.beliefs.faulty.tolist() == [False, True, False, False]
        assert frame.beliefs.p_adversary[1, [0, 2, 3]] == pytest.approx(moment[1])


def test_doubts_are_those_of_honest_agents_that_still_live():
    p = np.array([[np.nan, 0.8, 0.1], [0.9, np.nan, 0.9], [0.2, 0.4, np.nan]])
    beliefs = Beliefs(p, np.array([False, True, False]))

    class World:
        can_hold, hold = True, False
        alive = (0, 1, 2)

        def scene(self, index: int) -> Scene:
            return Scene((0, 0, 3, 1), [Disc((k, 0), 0.2, agent=k) for k in self.alive])

    world = World()
    film = Film(world)
    film.decided(beliefs)
    discs = film.frames[0].scene.items
    assert [disc.role for disc in discs] == ["agent", "faulty", "agent"]
    assert [disc.doubt for disc in discs] == pytest.approx([0.2, 0.6, 0.1])
    world.alive = (0, 1)
    film.stepped([1.0], [False], [False])
    discs = film.frames[1].scene.items
    assert [disc.doubt for disc in discs] == [None, pytest.approx(0.8)]


def test_a_tag_stays_in_the_picture_and_off_its_agent():
    for x, y in ((0.0, 2.0), (1.0, 1.0), (2.0, 0.0)):
        disc = Disc((x, y), 0.1)
        without = np.asarray(draw(Scene((0, 0, 2, 2), [disc]), roles=()))
        tagged = np.asarray(draw(Scene((0, 0, 2, 2), [replace(disc, doubt=1.0)]), roles=()))
        assert (tagged != without).any()
        assert (tagged == np.array(pen.channels(pen.FILL["agent"]))).all(-1).any()


def test_an_agent_that_nobody_doubts_hides_others_behind_a_tag():
    disc = Disc((1.0, 1.0), 0.1)
    plain, trusted, doubted = (
        np.asarray(draw(Scene((0, 0, 2, 2), [replace(disc, doubt=p)]), roles=()))
        for p in (None, 0.07, 0.3)
    )
    assert (plain == trusted).all()
    assert (plain != doubted).any()


def test_a_flat_world_cuts_off_what_is_written_beside_it(tmp_path):
    p = np.full((4, 4), 0.5)
    flat, faulty = Scene((0, 0, 4, 1), [Disc((1.0, 0.5), 0.1)], ("one", "two")), np.zeros(4, bool)
    words = replace(flat, captions=tuple("abcdefgh"))
    film = [Frame(flat, Beliefs(p, faulty)), Frame(words, Beliefs(p, faulty))]
    movie.save(film, tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film_again:
        sizes = [film_again.size for k in range(2) if film_again.seek(k) is None]
        last = np.asarray(film_again.convert("L"))
    assert sizes[0] == sizes[1]
    # white below the last row of the table
    assert (last[-8:] > 240).all()


def test_a_team_without_beliefs_or_adversary_says_so(play, run_folder, tmp_path):
    run = run_folder("mappo")
    said = play("--run", run, "--traitor", 0, "--attack", "random", "--out", tmp_path / "a.png")
    assert said.code == 0, said.err
    said = play("--run", run, "--traitor", 0, "--out", tmp_path / "b.png")
    assert said.code == 2
    assert "trains with no adversary" in said.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--traitor", "9"], "there is no agent 9 to attack; expected 0 to 1"),
        (["--traitor", "0", "--attack", "late-swich"], "did you mean 'late-switch'"),
        (["--traitor", "0", "--adversary", "nowhere.pt"], "not an attack written by"),
        (["--attack", "random"], "say which with --traitor"),
        (["--camera"], "is not in PyBullet"),
        (["--random"], "brings its own world and team"),
        (["toy"], "brings its own world and team"),
    ],
)
def test_a_run_that_cannot_be_played_so_is_refused_in_a_sentence(
    play, run_folder, tmp_path, arguments, sentence
):
    said = play("--run", run_folder("toy"), *arguments, "--out", tmp_path / "a.png")
    assert said.code == 2
    assert sentence in said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "there is nothing to play"),
        (["--run", "nowhere"], "checkpoint nowhere cannot be read"),
        (["toy", "--traitor", "0"], "give its --run"),
        (["tooy"], "did you mean 'toy'"),
        (["swarm-coverage", "--option", "fautls=1"], "did you mean 'faults'"),
        (["swarm-coverage", "--option", "episode"], "not of the form NAME=VALUE"),
        (["swarm-coverage", "--option", "task=["], "cannot be read as YAML"),
        (["swarm-coverage", "--option", "seed=3"], "given by --seed"),
        (["swarm-coverage", "--option", "episode_decisions=many"], "expected an integer"),
        (["swarm-coverage", "--fault", "r9:stop"], "names 'r9'; the team is r0, r1"),
        (["swarm-coverage", "--fault", "r1:hang"], "acts on a process"),
        (["swarm-coverage", "--fault", "r1:silent"], "acts on messages"),
        (["swarm-coverage", "--fault", "r1:sleep"], "unknown fault kind"),
        (["swarm-coverage", "--bundle", "nowhere"], "there is no bundle here"),
        (["swarm-coverage", "--bundle", "nowhere", "--random"], "choose one of them"),
        (["swarm-coverage", "--option", "world={bdy: wheels}"], "did you mean 'body'"),
        (["swarm-coverage", "--option", "task=[1]"], "task"),
        (["mpe-simple_tag", "--fault", "r1:stop"], "has no robots"),
        (["toy", "--camera"], "is not in PyBullet"),
        (["mpe-simple_tag", "--bundle", str(SHIPPED)], "was trained for 'swarm-coverage'"),
    ],
)
def test_a_mistake_is_a_sentence_and_leaves_no_file(play, tmp_path, arguments, sentence):
    said = play(*arguments, "--out", tmp_path / "a.png")
    assert said.code == 2
    assert sentence in said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("a.jpg", "expected one of .gif, .mp4, .png"), ("no/a.gif", "there is no folder")],
)
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_played(
    play, tmp_path, name, sentence
):
    said = play("swarm-coverage", "--out", tmp_path / name)
    assert said.code == 2
    assert sentence in said.err


def test_an_untrusted_team_does_not_play(play, tmp_path):
    make_keys(tmp_path / "keys")
    write_tiny_bundle(tmp_path / "bundle", tmp_path / "keys" / "lab.key")
    said = play("swarm-coverage", "--bundle", tmp_path / "bundle", "--out", tmp_path / "a.gif")
    assert said.code == 2
    assert "unknown key" in said.err


def test_a_film_without_ffmpeg_says_what_to_install(play, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    said = play("swarm-coverage", "--out", tmp_path / "a.mp4")
    assert said.code == 2
    assert "pip install imageio-ffmpeg" in said.err


def test_a_film_needs_more_than_the_extra_brings(play, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)  # no ffmpeg of the machine's own
    assert play("swarm-coverage", *SHORT, "--out", tmp_path / "a.mp4").code == 0
    assert b"ftyp" in (tmp_path / "a.mp4").read_bytes()[:16]


def test_ffmpeg_is_given_whole_frames_and_its_complaint_is_passed_on(tmp_path, monkeypatch):
    fake = tmp_path / "ffmpeg"
    fake.write_text('#!/bin/sh\nfor last; do :; done\nwc -c > "$last"\necho "$@" >> "$last"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    movie.save([Frame(EVERYTHING)] * 3, tmp_path / "a.mp4")
    count, words = (tmp_path / "a.mp4").read_text().splitlines()
    width, height = draw(EVERYTHING).size
    assert int(count) == 3 * 3 * width * height
    assert f"-s {width}x{height}" in words

    fake.write_text("#!/bin/sh\ncat > /dev/null\necho no such encoder >&2\nexit 1\n")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(movie.EirError, match="no such encoder"):
        movie.save([Frame(EVERYTHING)], tmp_path / "b.mp4")
    assert sorted(tmp_path.iterdir()) == before


#: Every sort of item in every role.
EVERYTHING = Scene(
    (0, 0, 8, 4),
    [
        *(Disc((k + 0.5, 1), 0.4, role) for k, role in enumerate(pen.FILL)),
        *(Disc((k + 0.5, 2), 0.4, role, "7") for k, role in enumerate(pen.FILL)),
        *(Box((k + 0.5, 3), (0.6, 0.5), role, 0.3, "b") for k, role in enumerate(pen.FILL)),
        Disc((7.5, 1), 0.3, heading=1.0, ring=0.25),
        Disc((7.5, 2), 0.02, label="too small for its label", ring=2.0),
        Line(((0, 0), (8, 4), (20, 20))),
    ],
    ("a line that is so long that it does not fit beside the picture", "score 1"),
)


def pixels(scene: Scene, beliefs: Beliefs | None = None) -> np.ndarray:
    return np.asarray(draw(scene, beliefs))


def test_roles_differ_also_for_those_who_see_no_colours():
    def grey(role: str) -> np.ndarray:
        return np.asarray(
            draw(Scene((0, 0, 2, 2), [Disc((1, 1), 0.9, role)]), roles=()).convert("L")
        )

    roles = ["agent", "faulty", "opponent", "goal", "done", "faint"]
    pictures = [grey(role) for role in roles]
    for i, a in enumerate(pictures):
        for j in range(i):
            assert np.abs(a.astype(int) - pictures[j]).mean() > 2, (roles[i], roles[j])


def test_y_points_up_and_bounds_cut():
    low = pixels(Scene((0, 0, 2, 2), [Disc((1, 0.3), 0.2)]))
    blue = (low == pen.channels(pen.FILL["agent"])).all(-1)
    rows = np.flatnonzero(blue[:, :430].any(1))
    assert rows.min() > 300
    outside = pixels(Scene((0, 0, 2, 2), [Disc((2.5, 1), 0.6)]))
    assert not (outside[:, 436:] == pen.channels(pen.FILL["agent"])).all(-1)[200:].any()


def test_a_ring_shows_its_share():
    def ink(share: float) -> int:
        picture = pixels(Scene((0, 0, 2, 2), [Disc((1, 1), 0.5, ring=share)]))
        return int((picture[:, :430] < 60).all(-1).sum())

    assert ink(0.0) < ink(0.5) < ink(1.0) == ink(7.0)


def test_every_item_and_role_is_drawn_alone_and_on_a_sheet():
    beliefs = Beliefs(np.array([[np.nan, 0.2], [0.9, np.nan]]), np.array([True, False]))
    assert pixels(EVERYTHING).std() > 20
    assert draw(EVERYTHING, beliefs).width == draw(EVERYTHING).width
    sheet = draw_sheet([Frame(EVERYTHING, beliefs)] * 4)
    assert sheet.width > 2 * 280


@pytest.mark.parametrize(("p", "colour"), [(0.0, "#0072b2"), (0.5, "#bbbbbb"), (1.0, "#d55e00")])
def test_beliefs_go_from_blue_to_vermilion(p, colour):
    assert drawing.belief_colour(p) == colour
