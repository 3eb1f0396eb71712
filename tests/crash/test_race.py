"""The real command line twice at the same moment."""

import pytest

from tests.crash.scenes import SCENES, State
from tests.crash.site import losses, site, words_of


@pytest.mark.timeout(300)
@pytest.mark.parametrize("state", State)
def test_of_two_commands_one_rolls(state: State) -> None:
    """The real command line twice at once, on two machines that share the journal or on one: everybody once."""
    with site(SCENES["gates"], state) as here:
        words = SCENES["gates"].words
        pair = here.start(*words), here.start(*words)
        codes = sorted(str(each.wait()) for each in pair)
        assert codes == ["0", "5"], words_of(pair)
        assert losses(here) == []
        assert len(here.runs()) == 1
        assert set(here.applied().values()) == {1}
