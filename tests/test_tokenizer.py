"""Text -> ids -> text, crossed over every tokenizer and every nasty string."""

import json
import pickle
import random
import time
import unicodedata

import pytest

from minigpt.data import text_to_tensor
from minigpt.tokenizer import (
    BPETokenizer,
    CharacterTokenizer,
    Tokenizer,
    WordTokenizer,
    clean,
    create_word_index,
    from_json,
    split_words,
    train_tokenizer,
)

KINDS = ["word", "character", "bpe"]
PROSE = "The old king's well-known dog ran. “Late!” he said (twice); it's 3.14, isn't it?\nThe dog ran on."
NASTY = {
    "empty": "",
    "whitespace": " \t \u00a0  \u2028 ",
    "line ends": "\n\n\n",
    "prose": PROSE,
    "Arabic with marks": "السَّلَامُ عَلَيْكُمْ يا عالم",
    "Hebrew with marks": "שָׁלוֹם עוֹלָם",
    "Hindi": "नमस्ते दुनिया",
    "Chinese": "你好、世界。",
    "emoji joined by ZWJ": "a 👩‍👩‍👧‍👦 family ❤️ 🏳️‍🌈!",
    "combining marks": "e\u0301 n\u0303 o\u0308\u0323 \u0301",
    "NUL and control characters": "a\x00b\x01c\x1b[31m\x7f\x1f",
    "the unknown token typed": "<unk> and < unk >",
    "markup": "<b>bold</b> &amp; <script>alert(1)</script>",
    "formula": "$x^2$ and \\frac{a}{b}",
    "lone surrogates": "a\ud800b\udfffc",
    "CRLF": "one\r\ntwo\rthree\n",
    "replacement character": "a \ufffd b\ufffd",
    "the same letter 100,000 times": "a" * 100_000,
    "ab": "ab",
    "one letter": "x",
    "outside the first plane": "𐌰𐌱 𐍈 𓀀",
}


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


def test_a_word_without_end_is_learned_from_in_no_time():
    started = time.process_time()
    BPETokenizer.train("a" * 100_000 + " " + "".join(random.Random(0).choices("abcdefgh", k=100_000)))
    assert time.process_time() - started < 5


@pytest.mark.parametrize("name", NASTY)
def test_decoding_what_was_encoded_gives_the_text_back(kind, name):
    text = NASTY[name]
    tokenizer = train_tokenizer(kind, text)
    ids = tokenizer.encode(text)
    back = tokenizer.decode(ids)
    assert all(0 <= index < tokenizer.d_vocab for index in ids)
    assert tokenizer.unknown(text) == []
    if kind == "word":
        # Words keep all but spaces, and a second trip changes nothing any more.
        assert without_spaces(back) == without_spaces(clean(text))
        assert tokenizer.encode(back) == ids
    else:
        assert back == clean(text)
        assert "".join(map(tokenizer.token, ids)) == back or kind == "bpe"


def without_spaces(text: str) -> str:
    return "".join(char for char in text if char == "\n" or not char.isspace())


@pytest.mark.parametrize("name", NASTY)
def test_bpe_reads_any_text_whatever_it_was_trained_on(name):
    tokenizer = BPETokenizer.train("ab")
    assert tokenizer.decode(tokenizer.encode(NASTY[name])) == clean(NASTY[name])
    assert tokenizer.unknown(NASTY[name]) == []


@pytest.mark.parametrize("name", NASTY)
def test_the_description_and_the_pickle_give_the_same_tokenizer(kind, name):
    text = NASTY[name]
    tokenizer = train_tokenizer(kind, text)
    for again in (from_json(tokenizer.to_json()), pickle.loads(pickle.dumps(tokenizer))):
        assert type(again) is type(tokenizer)
        assert again.encode(text + PROSE) == tokenizer.encode(text + PROSE)
        assert again.d_vocab == tokenizer.d_vocab
        assert [again.token(index) for index in range(again.d_vocab)] == [
            tokenizer.token(index) for index in range(tokenizer.d_vocab)
        ]
    assert json.loads(tokenizer.to_json())["kind"] == kind == tokenizer.kind
    assert isinstance(tokenizer, Tokenizer)


@pytest.mark.parametrize("name", NASTY)
def test_the_same_text_gives_the_same_ids_every_time(kind, name):
    text = NASTY[name]
    assert train_tokenizer(kind, text).encode(text) == train_tokenizer(kind, text).encode(text)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="one of word, character, bpe, not 'syllable'"):
        train_tokenizer("syllable", "a")


@pytest.mark.parametrize("trained", [WordTokenizer, CharacterTokenizer])
def test_what_the_vocabulary_lacks_is_never_silent(trained):
    tokenizer = trained.train("a b c")
    text = "a x b y x"
    ids = tokenizer.encode(text)
    assert len(ids) == len(tokenizer.encode("a b c b a"))
    assert ids.count(-1) == 3
    assert tokenizer.unknown(text) == ["x", "y"]
    assert tokenizer.decode(ids).count("<unk>") == 3
    assert tokenizer.token(-1) == "<unk>"


def test_the_unknown_token_typed_by_hand_is_three_ordinary_tokens():
    tokenizer = WordTokenizer.train("<unk> a")
    assert [tokenizer.token(index) for index in tokenizer.encode("<unk>")] == ["<", "unk", ">"]
    assert sorted(CharacterTokenizer.train("<unk>").encode("<unk>")) == [0, 1, 2, 3, 4]


def test_words_are_what_a_reader_would_call_words():
    assert split_words("The king's well-known dog ran.\n“It’s late!”") == [
        "The", "king's", "well-known", "dog", "ran", ".", "\n", "“", "It’s", "late", "!", "”",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["Arabic with marks", "Hebrew with marks", "Hindi"])
def test_a_mark_never_falls_off_its_letter(name):
    words = split_words(NASTY[name])
    assert words == NASTY[name].split()
    assert any(unicodedata.combining(char) or unicodedata.category(char) == "Mc" for word in words for char in word)


def test_decoded_words_have_spaces_where_english_has_them():
    text = "The dog ran. “Late!” he said (twice); it's 3, isn't it?\nThe dog ran on."
    tokenizer = WordTokenizer.train(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_word_index_counts_from_the_most_frequent_and_ties_keep_their_order():
    assert create_word_index("b a b c a b") == {"<unk>": 0, "b": 1, "a": 2, "c": 3}
    assert create_word_index("c b a") == {"<unk>": 0, "c": 1, "b": 2, "a": 3}
    assert create_word_index("") == {"<unk>": 0}


def test_a_prompt_is_read_with_the_vocabulary_of_the_training_text():
    index = create_word_index("the dog saw the cat")
    assert text_to_tensor("the cat saw the dog", index).tolist() == [1, 4, 3, 1, 2]
    assert text_to_tensor("dog fish dog", index).tolist() == [2, 0, 2]
    assert text_to_tensor("", index).shape == (0,)


@pytest.mark.parametrize("name", NASTY)
def test_the_index_of_a_text_knows_every_word_of_it(name):
    assert 0 not in text_to_tensor(NASTY[name], create_word_index(NASTY[name])).tolist()


def test_a_long_text_keeps_its_most_frequent_words():
    text = " ".join(f"w{number} " * (2 if number < 30 else 1) for number in range(60))
    assert set(create_word_index(text, max_words=30)) == {"<unk>"} | {f"w{number}" for number in range(30)}
    tokenizer = WordTokenizer.train(text, max_words=30)
    assert tokenizer.d_vocab == 31
    assert tokenizer.unknown(text) == [f"w{number}" for number in range(30, 60)]
    assert WordTokenizer.train(" ".join(f"w{number}" for number in range(9000))).d_vocab == 8193


def test_no_row_of_the_vocabulary_is_dead():
    for tokenizer in (WordTokenizer.train(PROSE), CharacterTokenizer.train(PROSE)):
        assert set(tokenizer.encode(PROSE)) == set(range(tokenizer.d_vocab))


def test_bpe_keeps_to_its_vocabulary_and_says_what_would_work():
    assert BPETokenizer.train(PROSE * 3, 300).d_vocab == 300
    assert BPETokenizer.train("ab", 50_000).d_vocab == 257
    for size in (255, 50_001):
        with pytest.raises(ValueError, match=r"a vocabulary from 256 \(the bytes\) to 50,000, not"):
            BPETokenizer.train(PROSE, size)


def test_a_piece_of_a_character_is_shown_as_its_bytes():
    tokenizer = BPETokenizer.train("ab")
    ids = tokenizer.encode("€")
    assert [tokenizer.token(index) for index in ids] == ["\\xe2", "\\x82", "\\xac"]
    assert tokenizer.decode(ids) == "€"
    assert tokenizer.decode(ids[:2]) == "\ufffd"


def told_in_steps(tokenizer: Tokenizer, prompt: list[int], ids: list[int]) -> list[str]:
    write = tokenizer.writer()
    for index in prompt:
        write(index, False)
    return [write(index, count == len(ids)) for count, index in enumerate(ids, start=1)]


@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize("prompt", ["The dog", "(", "a\n", "€"])
def test_text_told_token_by_token_is_the_text_decoded_at_once(kind, name, prompt):
    text = NASTY[name][:3000]
    tokenizer = train_tokenizer(kind, prompt + text, 256)
    before, ids = tokenizer.encode(prompt), tokenizer.encode(text)
    pieces = told_in_steps(tokenizer, before, ids)
    assert tokenizer.decode(before) + "".join(pieces) == tokenizer.decode(before + ids)


def test_a_character_of_four_bytes_is_told_with_its_last_byte():
    tokenizer = BPETokenizer.train("ab")
    assert told_in_steps(tokenizer, tokenizer.encode("a"), tokenizer.encode("🙂b")) == ["", "", "", "🙂", "b"]


def test_even_bytes_that_are_no_text_are_told_as_they_decode():
    tokenizer = BPETokenizer.train("ab")
    rng = random.Random(0)
    interesting = [tokenizer.encode(char)[place] for char in "€🙂a\ufffd" for place in range(len(char.encode()))]
    for _ in range(300):
        ids = [rng.choice(interesting) for _ in range(rng.randint(1, 12))]
        before = tokenizer.encode("a🙂")
        assert "".join(told_in_steps(tokenizer, before, ids)) == tokenizer.decode(ids)
