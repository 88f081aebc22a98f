//! The columns of visitors that tags and segments are written over (docs/columns.md), and how a condition names them.

/** Name, type, and an example for a condition. What it means is the message `column.NAME`. */
export const COLUMNS = [
  ["visitor.orders", "number", "visitor.orders >= 1.0"],
  ["visitor.orders_90d", "number", "visitor.orders_90d >= 1.0"],
  ["visitor.order_lines", "number", "visitor.order_lines >= 5.0"],
  ["visitor.spend", "number", "visitor.spend >= 500.0"],
  ["visitor.spend_90d", "number", "visitor.spend_90d >= 200.0"],
  ["visitor.average_price", "number", "visitor.average_price > 100.0"],
  ["visitor.basket_size", "number", "visitor.basket_size >= 2.0"],
  ["visitor.distinct_items", "number", "visitor.distinct_items >= 3.0"],
  ["visitor.repeat_share", "number", "visitor.repeat_share > 0.3"],
  ["visitor.days_since_order", "number", "visitor.days_since_order < 30.0"],
  ["visitor.days_since_first", "number", "visitor.days_since_first < 7.0"],
  ["visitor.days_since_last", "number", "visitor.days_since_last > 14.0"],
  ["visitor.active_days", "number", "visitor.active_days >= 3.0"],
  ["visitor.events", "number", "visitor.events >= 10.0"],
  ["visitor.activity", "number", "visitor.activity > 5.0"],
  ["visitor.shares", "number", "visitor.shares >= 1.0"],
  ["visitor.recency", "number", "visitor.recency >= 4.0"],
  ["visitor.frequency", "number", "visitor.frequency >= 4.0"],
  ["visitor.monetary", "number", "visitor.monetary >= 4.0"],
  ["visitor.rfm", "text", "visitor.rfm == '555'"],
  ["visitor.stage", "text", "visitor.stage == 'revenue'"],
  ["visitor.channel", "text", "visitor.channel == 'app'"],
  ["visitor.region", "text", "visitor.region == 'HK'"],
  ["visitor.attributes.", "text", "visitor.attributes.city == 'Bern'"],
  ["visitor.numbers.", "number", "visitor.numbers.age >= 30.0"],
  ["visitor.category.", "number", "visitor.category.tea > 0.3"],
  ["visitor.brand.", "number", "visitor.brand[\"my brand\"] > 0.3"],
  ["visitor.in_channel.", "number", "visitor.in_channel.app > 0.5"],
  ["visitor.at_hour.", "number", "visitor.at_hour[\"20\"] > 0.3"],
];

/** The key of a column's meaning. */
export const meaning = (name) => `column.${name.replace(/^visitor\./, "").replace(/\.$/, "")}`;

/** A text as a condition writes it. */
const quoted = (text) => (/['\\\u0000-\u001f]/.test(text) ? JSON.stringify(text) : `'${text}'`);

export const carries = (tag) => `${quoted(tag)} in visitor.tags`;
export const isIn = (segment) => `${quoted(segment)} in visitor.segments`;

/** A number as a condition writes it: with a decimal point, never with an exponent. */
export const literal = (value) => {
  const text = Number(value).toLocaleString("en-US", { useGrouping: false, maximumFractionDigits: 9 });
  return text.includes(".") ? text : `${text}.0`;
};

/** The columns of a type, as suggestions under a field. */
export const suggestions = (type) => COLUMNS.filter(([, own]) => own === type).map(([name]) => name);
