import { encodeJson, type Json } from '@millrace/protocol'

/** A text as it is: of arguments that are no JSON, and of the results of tools. */
export function jsonText(value: Json): string {
  return typeof value === 'string' ? value : encodeJson(value)
}
