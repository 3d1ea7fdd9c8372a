"""Where the cards of people go: over nobody, apart, and calm."""

from maskclr_edge.live.cards import Cards

WIDTH, HEIGHT = 800.0, 600.0
CARD = (160.0, 90.0)


def inside(left, top, width, tall):
    return min(max(left, 0), WIDTH - width), min(max(top, 0), HEIGHT - tall)


def placed(*people, cards=None):
    cards = cards or Cards(inside)
    cards.begin(people)
    return [cards.place(number, person, CARD) for number, person in enumerate(people, start=1)]


def test_a_card_is_above_a_head_and_beside_it_where_there_is_no_room():
    assert placed((300, 300, 400, 500)) == [(270, 300 - 90 - 14)]
    assert placed((300, 40, 400, 500)) == [(414, 40)]
    assert placed((650, 40, 790, 500)) == [(650 - 14 - 160, 40)]
    # a card keeps off other people, too: the place beside is taken by one, so it goes to the other side
    first, _ = placed((300, 40, 400, 500), (420, 40, 560, 500))
    assert first == (300 - 14 - 160, 40)


def test_cards_keep_apart():
    boxes = [
        (x, y, x + 160, y + 90)
        for x, y in placed(*[(300 + 10 * n, 200, 400 + 10 * n, 500) for n in range(4)])
    ]
    for a in boxes:
        for b in boxes:
            assert a is b or a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_a_card_stays_on_its_side_until_another_place_hides_clearly_less():
    cards = Cards(inside)
    assert placed((300, 60, 400, 500), cards=cards)[0][0] == 414  # beside
    # arms go down, and there is room above: the card stays where it is
    assert placed((300, 110, 400, 500), cards=cards)[0][0] == 414
    # somebody comes to stand there
    assert placed((300, 110, 400, 500), (430, 110, 600, 500), cards=cards)[0] == (270, 110 - 90 - 14)
