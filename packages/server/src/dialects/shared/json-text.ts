import { encodeJson, type Json } from '@millrace/protocol'

/** A value as text: JSON, and a text without quotes, as arguments that are no JSON and plain results of tools are. */
export function jsonText(value: Json): string {
  return typeof value === 'string' ? value : encodeJson(value)
}
