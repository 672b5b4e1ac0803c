/** The calls of one lane as output items. */
import type { SessionEvents } from '@millrace/protocol'
import { jsonText } from '../../shared/json-text.ts'
import { formatApprovalId, formatItemId, type RunName } from '../ids.ts'
import { approvalItem, type CallItem, functionItem, serverCallItem } from './items.ts'
import type { ResponseOutput } from './output.ts'

export interface ResponseCallsOptions {
  readonly name: RunName
  /** Of the lane. */
  readonly index: number
  /** Names of the tools that the client brought. Of others the first event of a call does not say who executes it. */
  readonly tools: ReadonlySet<string>
  readonly output: ResponseOutput
  /** Numbers the items of the lane. */
  readonly nextCount: () => number
}

interface OpenCall {
  readonly item: CallItem
  readonly place: number
  readonly isOfClient: boolean
}

export class ResponseCalls {
  readonly #options: ResponseCallsOptions
  /** Numbers of calls that have begun. */
  readonly #counts = new Map<string, number>()
  /** Items that are not finished. */
  readonly #open = new Map<string, OpenCall>()

  constructor(options: ResponseCallsOptions) {
    this.#options = options
  }

  has(call: string): boolean {
    return this.#counts.has(call)
  }

  begin(call: string, name: string): void {
    this.#counts.set(call, this.#options.nextCount())
    if (this.#options.tools.has(name)) this.#add(call, name, true)
  }

  argue(call: string, piece: string): void {
    const open = this.#open.get(call)
    if (open === undefined || !open.isOfClient) return
    this.#open.set(call, { ...open, item: { ...open.item, arguments: open.item.arguments + piece } })
    this.#options.output.emit('response.function_call_arguments.delta', { ...placeOf(open), delta: piece })
  }

  complete({ call, name, arguments: given, by }: SessionEvents['tool_call']): void {
    if (!this.has(call)) this.#counts.set(call, this.#options.nextCount())
    const open = this.#open.get(call) ?? this.#add(call, name, by === 'client')
    const text = jsonText(given)
    if (open.isOfClient) {
      if (open.item.arguments === '') this.argue(call, text)
      // As the call is recorded: the pieces may have spaces that JSON does not need.
      return this.#finishFunction(call, { ...open, item: { ...open.item, arguments: text } }, 'completed')
    }
    const { output } = this.#options
    this.#open.set(call, { ...open, item: { ...open.item, arguments: text } })
    output.emit('response.mcp_call.in_progress', placeOf(open))
    output.emit('response.mcp_call_arguments.done', { ...placeOf(open), arguments: text })
  }

  /** Of a call that the server or the model executes. */
  result({ call, value, isError, isRejected, preliminary }: SessionEvents['tool_result']): void {
    const open = this.#open.get(call)
    if (open === undefined || open.isOfClient || preliminary) return
    this.#open.delete(call)
    const isFailed = isError === true || isRejected === true
    const { output } = this.#options
    output.emit(`response.mcp_call.${isFailed ? 'failed' : 'completed'}`, placeOf(open))
    output.finish(open.place, serverCallItem(open.item, { value, isError: isFailed }))
  }

  requestApproval({ call, approval }: Pick<SessionEvents['approval_request'], 'call' | 'approval'>): void {
    const open = this.#open.get(call)
    if (open === undefined) return
    const { name, output } = this.#options
    const item = approvalItem(formatApprovalId(name, approval), open.item)
    output.finish(output.add(item), item)
  }

  /** Finishes what is open. */
  end(): void {
    for (const [call, open] of this.#open)
      if (open.isOfClient) this.#finishFunction(call, open, 'incomplete')
      else this.#options.output.finish(open.place, serverCallItem(open.item, undefined, 'incomplete'))
    this.#open.clear()
  }

  #add(call: string, name: string, isOfClient: boolean): OpenCall {
    const { name: of, index, output } = this.#options
    const id = formatItemId(isOfClient ? 'fc' : 'mcp', of, index, this.#counts.get(call) ?? 0)
    const item = { id, call, name, arguments: '' }
    const place = output.add(isOfClient ? functionItem(item, 'in_progress') : serverCallItem(item))
    const open = { item, place, isOfClient }
    this.#open.set(call, open)
    return open
  }

  #finishFunction(call: string, open: OpenCall, status: 'completed' | 'incomplete'): void {
    const { item, place } = open
    this.#open.delete(call)
    const { output } = this.#options
    const done = { ...placeOf(open), name: item.name, arguments: item.arguments }
    output.emit('response.function_call_arguments.done', done)
    output.finish(place, functionItem(item, status))
  }
}

function placeOf({ item, place }: OpenCall): object {
  return { item_id: item.id, output_index: place }
}
