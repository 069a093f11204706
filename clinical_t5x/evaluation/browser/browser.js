"use strict";
// Shows the items of this page's data, filtered, ordered and cut into pages. Text is only ever set
// as text, never as markup; nothing is loaded, stored or sent.
(function () {
  const items = JSON.parse(document.getElementById("data").textContent);
  const field = (name) => document.getElementById(name);
  const list = field("list");
  const MARKS = ["", "gold", "predicted", "both", "asked"];
  const WORDS = ["", "gold answer", "predicted answer", "gold and predicted", "sentence in question"];
  const SIGNS = { hit: ["✓", "found"], missed: ["−", "missed"], false: ["+", "false"] };
  let shown = [];
  let first = 0; // the position in `shown` of the first one on this page
  let current = -1; // the card on this page that the keys are at

  function element(tag, name, text) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  const value = (name) => (field(name) ? field(name).value : "");

  function textOf(item) {
    if (item.text === undefined) {
      const passages = item.passages.map((part) => part[1].map((piece) => piece[0]).join(""));
      item.text = [item.id, item.predicted, ...item.gold, ...passages].join("\n").toLowerCase();
    }
    return item.text;
  }

  function bound(name) {
    const given = value(name).trim();
    return given === "" || Number.isNaN(Number(given)) ? null : Number(given);
  }

  function matches() {
    const answers = value("answers"), label = value("label"), kind = value("kind");
    const score = value("score"), low = bound("low"), high = bound("high");
    const words = value("search").toLowerCase().trim();
    return function (item) {
      if (answers && item.right !== (answers === "right")) return false;
      if (label || kind) {
        const fits = (tag) => (!label || tag[0] === label) && (!kind || tag[1] === kind);
        if (!item.tags.some(fits)) return false;
      }
      if (low !== null || high !== null) {
        const sure = item.scores[score];
        if (sure === undefined) return false;
        if (low !== null && sure < low) return false;
        if (high !== null && sure > high) return false;
      }
      return !words || textOf(item).includes(words);
    };
  }

  function ordered(found) {
    const order = value("order"), score = value("score");
    if (!order) return found;
    const side = order === "surest" ? -1 : 1;
    const known = (item) => item.scores[score] !== undefined;
    const some = found.filter(known);
    some.sort((a, b) => side * (a.scores[score] - b.scores[score]));
    return some.concat(found.filter((item) => !known(item)));
  }

  function passage(part) {
    const made = element("div", "passage");
    made.append(element("h4", "", part[0]));
    const text = element("p");
    text.dir = "auto";
    for (const [words, mark] of part[1]) {
      if (!mark) {
        text.append(words);
        continue;
      }
      const marked = element("mark", MARKS[mark]);
      marked.append(element("span", "hidden", "[" + WORDS[mark] + ": "));
      marked.append(words);
      marked.append(element("span", "hidden", "]"));
      text.append(marked);
    }
    made.append(text);
    return made;
  }

  function answer(into, title, texts, nothing) {
    into.append(element("dt", "", title));
    for (const text of texts.length ? texts : [""]) {
      const made = element("dd", text === "" ? "none" : "", text === "" ? nothing : text);
      made.dir = "auto";
      into.append(made);
    }
  }

  function marksOf(item) {
    const made = element("ul", "marks");
    for (const [label, state] of item.marks) {
      const [sign, word] = SIGNS[state];
      const one = element("li", state);
      one.append(element("b", "", sign + " " + word), " ", label);
      made.append(one);
    }
    return made;
  }

  function card(item) {
    const made = element("li", "card " + (item.right ? "right" : "wrong"));
    made.tabIndex = -1;
    const head = element("h3");
    head.append(element("span", "verdict", item.right ? "✓ right" : "✗ wrong"));
    const kinds = new Set(item.tags.map((tag) => tag[1]));
    if (!item.marks.length) {
      for (const kind of kinds) {
        if (kind !== "right" && kind !== "missed" && kind !== "false") {
          head.append(element("span", "kind", kind));
        }
      }
    }
    head.append(element("span", "id", item.id));
    made.append(head);
    if (item.marks.length) {
      made.append(marksOf(item));
    }
    const answers = element("dl", "answers");
    answer(answers, "Gold", item.gold, "nothing");
    answer(answers, "Predicted", item.predicted === "" ? [] : [item.predicted], "nothing");
    made.append(answers);
    for (const part of item.passages) made.append(passage(part));
    for (const remark of item.remarks) made.append(element("p", "aside", remark));
    const scores = Object.entries(item.scores).map(([name, sure]) => name + " " + rounded(sure));
    if (scores.length) made.append(element("p", "aside", scores.join(" · ")));
    return made;
  }

  const rounded = (number) => String(Number(number.toPrecision(4))).replace("-", "−");
  const grouped = (number) => number.toLocaleString("en");
  const perPage = () => Number(value("size"));

  function show() {
    const size = perPage();
    const fragment = document.createDocumentFragment();
    for (const item of shown.slice(first, first + size)) fragment.append(card(item));
    list.replaceChildren(fragment);
    list.start = first + 1;
    current = -1;
    const pages = Math.max(1, Math.ceil(shown.length / size));
    const page = Math.floor(first / size) + 1;
    for (const place of document.querySelectorAll(".position")) {
      place.textContent = "page " + grouped(page) + " of " + grouped(pages);
    }
    for (const button of document.querySelectorAll(".previous")) button.disabled = first === 0;
    for (const button of document.querySelectorAll(".next")) {
      button.disabled = first + size >= shown.length;
    }
    const last = Math.min(first + size, shown.length);
    field("count").textContent = shown.length
      ? grouped(shown.length) + " of " + grouped(items.length) + " examples; here " +
        grouped(first + 1) + " to " + grouped(last)
      : "No example fits these filters.";
  }

  function filter() {
    shown = ordered(items.filter(matches()));
    first = 0;
    range();
    show();
  }

  function range() {
    const score = value("score");
    if (!score) return;
    let low = Infinity, high = -Infinity;
    for (const item of items) {
      const sure = item.scores[score];
      if (sure !== undefined) {
        low = Math.min(low, sure);
        high = Math.max(high, sure);
      }
    }
    field("range").textContent = "Confidence is the " + score + ": from " + rounded(low) + " to " +
      rounded(high) + ", higher is surer.";
  }

  function turn(step) {
    const next = first + step * perPage();
    if (next < 0 || next >= shown.length) return;
    first = next;
    show();
    field("count").scrollIntoView();
  }

  function move(step) {
    const cards = list.children;
    if (!cards.length) return;
    const next = current + step;
    if (next >= cards.length && first + perPage() < shown.length) {
      turn(1);
      current = 0;
    } else if (next < 0 && first > 0) {
      turn(-1);
      current = list.children.length - 1;
    } else {
      current = Math.min(Math.max(next, 0), cards.length - 1);
    }
    const chosen = list.children[current];
    chosen.focus({ preventScroll: true });
    chosen.scrollIntoView({ block: "nearest" });
  }

  function cycle() {
    const answers = field("answers");
    answers.selectedIndex = (answers.selectedIndex + 1) % answers.options.length;
    filter();
  }

  function reset() {
    field("filters").reset();
    filter();
  }

  const KEYS = {
    j: () => move(1),
    k: () => move(-1),
    ArrowRight: () => turn(1),
    ArrowLeft: () => turn(-1),
    w: cycle,
    r: reset,
    "/": () => field("search").focus(),
  };

  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const action = KEYS[event.key];
    if (action) {
      event.preventDefault();
      action();
    }
  });

  let waiting = 0;
  field("filters").addEventListener("input", function (event) {
    clearTimeout(waiting);
    waiting = setTimeout(filter, event.target.tagName === "SELECT" ? 0 : 150);
  });
  field("filters").addEventListener("submit", (event) => event.preventDefault());
  field("reset").addEventListener("click", reset);
  for (const button of document.querySelectorAll(".next")) {
    button.addEventListener("click", () => turn(1));
  }
  for (const button of document.querySelectorAll(".previous")) {
    button.addEventListener("click", () => turn(-1));
  }
  list.addEventListener("focusin", function (event) {
    const at = event.target.closest(".card");
    if (at) current = Array.prototype.indexOf.call(list.children, at);
  });
  filter();
})();
