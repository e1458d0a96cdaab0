/** The fields of a protobuf message by their setters: `id` where it has `setId`. */
type Fields<Message> = {
  [Setter in keyof Message as Setter extends `set${infer Field}` ? Uncapitalize<Field> : never]?:
    (Message[Setter] extends (value: infer Value) => unknown ? Value : never) | undefined;
};

/** Makes a protobuf message of plain values: `message(CheckFailure, { property, reason })`. What is undefined stays unset. */
export function message<Message>(Type: new () => Message, fields: Fields<Message>): Message {
  const made = new Type();
  const setters = made as Record<string, (value: unknown) => void>;
  for (const [field, value] of Object.entries(fields))
    if (value !== undefined) setters[`set${field.charAt(0).toUpperCase()}${field.slice(1)}`]?.(value);
  return made;
}
