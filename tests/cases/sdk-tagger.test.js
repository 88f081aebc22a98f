// The parts of the SDK for taggers that need no host; tests/cases/javascript.rs runs them in a new project.

import { eventKinds, optional, reject, tagger } from "qianmian/tagger";
import { equal, test, throws } from "qianmian/testing";

const about = { name: "a", version: "1.0.0", tags: ["one", "two"], tag: () => {} };
const DAY = 86_400_000;

/** Three visitors; the second did two things, the third one. */
const request = {
  count: 3,
  visitors: {
    orders: [0, 2, 0],
    firstSeen: [0, 1, 2],
    lastSeen: [0, 5, 9],
    begins: [0, 0, 2, 3],
    items: [7, 8, 7],
    kinds: ["view", "purchase", "view"],
    times: [5, 4, 9],
    attributes: [["city", ["", "Basel", ""]]],
  },
  now: 9 * DAY,
  parameters: "{\"most\":1}",
};
const tagged = (tag) => tagger({ ...about, tag }).tag(request);

test("visitors are what the columns say", () => {
  const seen = [];
  const given = tagged((people, parameters, give) => {
    equal([people.size, people.now, parameters.most, Date.now()], [3, 9 * DAY, 1, 9 * DAY]);
    for (const one of people) {
      seen.push([one.orders, one.firstSeen, one.lastSeen, one.recent().length, one.attribute("city")]);
      if (one.recent().some(({ kind }) => kind === "purchase")) give(one, "two");
    }
    equal([...people][1].recent()[1], { at: 1, item: 8, kind: "purchase", time: 4 });
  });
  equal(seen, [[0, 0, 0, 0, ""], [2, 1, 5, 2, "Basel"], [0, 2, 9, 1, ""]]);
  equal(given, [[], [1]]);
});

test("tags come out in order, each visitor once", () => {
  const given = tagged((people, _, give) => {
    const [first, , third] = people;
    [third, first, third].forEach((one) => give(one, "one"));
  });
  equal(given, [[0, 2], []]);
});

test("what is wrong is named", () => {
  throws(() => tagger({ ...about, tags: "one" }), 'tags is "one": expected an array');
  throws(() => tagger({ ...about, tag: 1 }), "tag is 1: expected a function of (people, parameters, give)");
  throws(() => tagger({ ...about, version: "1" }), "the tagger's version is \"1\"");
  throws(() => tagged((people, _, give) => give([...people][0], "three")), "the code threw");
  throws(() => tagged(() => Math.random()), "the code threw");
  throws(() => tagged(async () => {}), "the code threw");
  throws(() => optional(() => reject("no")), "no");
  equal(eventKinds.length, 8);
});
