// The SDK's own parts that need no host; tests/cases/javascript.rs runs them in a new project.

import { Mix, Page, Source, StrategyError, everything, itemKinds, optional, reject, strategy } from "qianmian";
import { equal, ok, test, throws } from "qianmian/testing";

const failing = (code) => () => {
  throw new StrategyError(code, "no luck");
};

test("only what makes it better is optional", () => {
  equal(optional(() => 1), 1);
  for (const code of ["unknown", "failed", "denied"]) equal(optional(failing(code)), undefined);
  throws(() => optional(failing("invalid")), "no luck");
  throws(() => optional(() => reject("sold out")), "sold out");
  throws(() => optional(() => undefined.x), "cannot read property");
});

test("arguments are checked by name and place", () => {
  throws(() => Source.trending("popular", 1.5), "the limit of source popular is 1.5: expected a whole number");
  throws(() => Source.same("same", "colour", 3), 'the attribute is "colour": expected one of "category", "brand", "tag"');
  throws(() => Source.listed("listed", ["a", 3]), "ids[1] is 3: expected a string");
  throws(() => Source.newest("new", 3).kinds(["shoe"]), 'kinds[0] is "shoe": expected one of "product", "content"');
  throws(() => Source.newest("new", 3).only(null), "the condition is null: expected a string");
  throws(() => new Mix().with(Source.newest("new", 3), "1"), 'the weight of new is "1": expected a number');
  throws(() => new Page().shelf("a", "A", []), "what stands on shelf a is []: expected candidates");
});

test("sources say what they are, and change into new ones", () => {
  const source = Source.listed("listed", ["a", "b"]);
  equal([source.name, source.limit, source.sized(9).limit, source.limit], ["listed", 2, 9, 2]);
  equal(itemKinds.length, 5);
  equal(new Page().room(3), 3);
});

const about = { name: "a", version: "1.0.0", compose: () => new Page() };

test("descriptions are complete, and wrong ones are refused", () => {
  const said = strategy({ ...about, parametersSchema: { type: "object" }, needs: { models: ["m-*"] } }).describe();
  equal([said.name, said.summary, said.parametersSchema], ["a", "", '{"type":"object"}']);
  equal([said.needs.models, said.needs.tags, said.needs.history], [["m-*"], [], false]);
  equal(strategy({ ...about, needs: everything }).describe().needs.columns, ["*"]);
  throws(() => strategy({ ...about, name: "a b" }), "the strategy's name is \"a b\"");
  throws(() => strategy({ ...about, version: "1" }), "the strategy's version is \"1\"");
  throws(() => strategy({ ...about, parametersSchema: "[]" }), "a JSON object");
  throws(() => strategy({ ...about, needs: { model: ["m"] } }), 'a member of needs is "model"');
  throws(() => strategy({ ...about, needs: { models: "m" } }), "needs.models is \"m\": expected an array");
  throws(() => strategy({ ...about, compose: undefined }), "compose is undefined: expected a function");
});

test("there is no clock and no chance before a request", () => {
  for (const ask of [Date.now, Math.random, () => new Date()]) throws(ask, "inside compose");
  equal(new Date(0).toISOString(), "1970-01-01T00:00:00.000Z");
  ok(new Date(0) instanceof Date);
});

test("what is logged is shown", async () => {
  await undefined;
  console.log("a", { b: NaN }, undefined);
});
