/** Checks the parts of a model that are about tools, and its sources: values that the log and its readers rely on. */
import { MillraceError, type SourceInfo, type ToolResult } from '@millrace/protocol'
import type { ModelToolCall } from '../models/model.ts'
import { copyJson } from '../tools/json.ts'
import { textLengthMax } from './whole-text.ts'

/** As in `messages`: the results of a later question name the same ids. */
const callPattern = /^[^\p{Cc}\p{Cs}]{1,128}$/u
const toolNamePattern = /^[A-Za-z0-9_.:/-]{1,128}$/

export function checkToolStart(value: unknown): { readonly id: string; readonly name: string } {
  const { id, name } = fields(value)
  return { id: checkCall(id), name: checkName(name) }
}

export function checkToolDelta(value: unknown): { readonly id: string; readonly arguments: string } {
  const { id, arguments: piece } = fields(value)
  if (typeof piece !== 'string' || piece.length > textLengthMax) throw unfit('a piece of arguments that is no text')
  return { id: checkCall(id), arguments: piece.toWellFormed() }
}

export function checkToolCall(value: unknown): ModelToolCall {
  const { id, name, arguments: given, by } = fields(value)
  const copy = copyJson(given ?? {})
  if (copy === undefined) throw unfit('a call of a tool with arguments that are not JSON, or larger than an event may be')
  return { id: checkCall(id), name: checkName(name), arguments: copy, ...(by === 'model' && { by }) }
}

export function checkToolResult(value: unknown): { readonly call: string } & ToolResult {
  const { call, value: result, isError, preliminary } = fields(value)
  const copy = copyJson(result ?? null)
  if (copy === undefined) throw unfit('the result of a tool that is not JSON, or larger than an event may be')
  return {
    call: checkCall(call),
    value: copy,
    ...(isError === true && { isError }),
    ...(preliminary === true && { preliminary }),
  }
}

export function checkSource(value: unknown): SourceInfo {
  const { source, url, title, mediaType } = fields(value)
  const texts = [source, url, title, mediaType].filter((text) => text !== undefined)
  if (typeof source !== 'string' || source === '' || !texts.every(isShort))
    throw unfit('a source without an id, or with too long a text')
  // What a model chose becomes a link: never code of the page that shows it.
  if (typeof url === 'string' && !/^https?:\/\//i.test(url)) throw unfit('a source whose address is not one of the web')
  return {
    source: source.toWellFormed(),
    ...(typeof url === 'string' && { url: url.toWellFormed() }),
    ...(typeof title === 'string' && { title: title.toWellFormed() }),
    ...(typeof mediaType === 'string' && { mediaType: mediaType.toWellFormed() }),
  }
}

function isShort(value: unknown): boolean {
  return typeof value === 'string' && value.length <= 8192
}

function checkCall(id: unknown): string {
  if (typeof id !== 'string' || !callPattern.test(id)) throw unfit('a call of a tool without an id of 1 to 128 characters')
  return id
}

function checkName(name: unknown): string {
  if (typeof name !== 'string' || !toolNamePattern.test(name)) throw unfit('a call of a tool whose name is none')
  return name
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw unfit('something that is not part of an answer')
  return value as Readonly<Record<string, unknown>>
}

function unfit(what: string): MillraceError {
  return new MillraceError('model_failed', { message: `The model sent ${what}; what it had said before is kept.` })
}
