/** The parts of an answer with the types that an application knows: of the values of its tools and of its data. */
import type { Json, LanePart, ToolPart } from '@millrace/protocol'

/**
 * `interface Mine { data: { chart: Chart }; tools: { weather: { arguments: { city: string }; value: Weather } } }`. Nothing is
 * checked: a part of another name has the types of none.
 */
export interface ChatTypes {
  readonly data?: object
  readonly tools?: object
}

type DataOf<Types extends ChatTypes> = {
  readonly [N in keyof Types['data'] & string]: { readonly type: 'data'; readonly name: N; readonly value: Types['data'][N] }
}[keyof Types['data'] & string]

type ToolOf<Types extends ChatTypes> = {
  readonly [N in keyof Types['tools'] & string]: Omit<ToolPart, 'name' | 'arguments' | 'value'> & {
    readonly name: N
    readonly arguments?: ArgumentsOf<Types['tools'][N]>
    /** What it returned; where it has failed, why. */
    readonly value?: Types['tools'][N] extends { readonly value: infer V } ? V : never
  }
}[keyof Types['tools'] & string]

export type TypedPart<Types extends ChatTypes> =
  | Exclude<LanePart, { readonly type: 'data' | 'tool' }>
  | DataOf<Types>
  | ToolOf<Types>

/** The parts of a lane of `Chat<Types>`. */
export type PartOf<Types extends ChatTypes> = ChatTypes extends Types ? LanePart : TypedPart<Types>

type ArgumentsOf<Tool> = Tool extends { readonly arguments: infer A } ? A : never

/** The name of a tool with its arguments. */
export type CallOf<Types extends ChatTypes> = ChatTypes extends Types
  ? { readonly name: string; readonly arguments: Json }
  : {
      [N in keyof Types['tools'] & string]: { readonly name: N; readonly arguments: ArgumentsOf<Types['tools'][N]> }
    }[keyof Types['tools'] & string]

/** The parts of a lane, by the types of an application. */
export function typedParts<Types extends ChatTypes>({
  parts,
}: {
  readonly parts: readonly LanePart[]
}): readonly TypedPart<Types>[] {
  return parts as readonly object[] as readonly TypedPart<Types>[]
}
