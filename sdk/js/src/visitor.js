// Who is asking.

import * as profile from "qianmian:strategy/visitor";
import { count, eventKind, list, text } from "./words.js";

export const visitor = Object.freeze({
  known: () => profile.known(),
  orders: () => profile.orders(),
  tags: () => profile.tags(),
  recent: (kinds, limit) => profile.recent(list("kinds", kinds, eventKind), count("the limit", limit)),
  attribute: (name) => profile.attribute(text("the attribute", name)) ?? undefined,
});
