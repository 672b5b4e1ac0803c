/** Ids of OpenAI's API. They name the session too, so that any server finds a run by them, also after a restart. */
import { idPattern } from '@millrace/protocol'

export interface RunName {
  readonly session: string
  readonly run: string
}

type Prefix = 'chatcmpl' | 'resp'
type ItemPrefix = 'msg' | 'rs' | 'fc' | 'fco' | 'mcp'

export function formatId(prefix: Prefix, { session, run }: RunName): string {
  return `${prefix}_${session}.${run}`
}

/** Undefined for what is no such id. */
export function parseId(prefix: Prefix, id: string): RunName | undefined {
  const { name, rest } = parse(prefix, id) ?? {}
  return rest === undefined ? name : undefined
}

/** Of an item of a response: the `count`th of what was asked, or of a lane. Clients send it back as a reference. */
export function formatItemId(prefix: ItemPrefix, { session, run }: RunName, part: 'in' | number, count: number): string {
  return `${prefix}_${session}.${run}.${part}.${count}`
}

/** Of an item that asks for a decision. */
export function formatApprovalId({ session, run }: RunName, approval: string): string {
  return `mcpr_${session}.${run}.${approval}`
}

export interface ApprovalName {
  readonly name: RunName
  readonly approval: string
}

export function parseApprovalId(id: string): ApprovalName | undefined {
  const { name, rest } = parse('mcpr', id) ?? {}
  return name === undefined || rest === undefined ? undefined : { name, approval: rest }
}

/** The run that an item is of; undefined for what is no id of an item. */
export function runOfItem(id: string): RunName | undefined {
  const { name, rest } = parse('(?:msg|rs|fc|fco|mcp|mcpr)', id) ?? {}
  return rest === undefined ? undefined : name
}

function parse(prefix: string, id: string): { readonly name: RunName; readonly rest: string | undefined } | undefined {
  const [, session = '', run = '', rest] = new RegExp(`^${prefix}_([^.]+)\\.([^.]+)(?:\\.(.+))?$`, 's').exec(id) ?? []
  return idPattern.test(session) && idPattern.test(run) ? { name: { session, run }, rest } : undefined
}
