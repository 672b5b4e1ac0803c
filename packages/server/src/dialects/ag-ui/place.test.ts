/** Where a question is in a conversation, whatever its shape and however much of it the client has. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Exchange, pathTo } from '../../sessions/conversation.ts'
import type { ClientMessage } from './input.ts'
import { placeOf } from './place.ts'

/** Names of runs of which one may begin with another. */
const nameOf = (place: number) => `r${'-1'.repeat(8 - place)}`

function exchange(place: number, parent: number | null): Exchange {
  const run = nameOf(place)
  const lane = { model: 'm', status: 'completed' as const, text: `answer ${place}`, files: [], parts: [] }
  return {
    query: `question ${place}`,
    runs: [run],
    status: 'completed',
    parent: parent === null ? null : nameOf(parent),
    metadata: { messageId: `q${place}` },
    lanes: new Map([['m', lane]]),
  }
}

/** Each follows one before it, or none. */
const trees = fc
  .array(fc.option(fc.nat(), { nil: undefined }), { minLength: 1, maxLength: 8 })
  .map((all) => all.map((given, place) => exchange(place, place === 0 || given === undefined ? null : given % place)))

const placeIn = (each: Exchange) => Number(each.query.split(' ')[1])
const messagesOf = (each: Exchange): ClientMessage[] => [
  { id: `q${placeIn(each)}`, role: 'user', content: each.query },
  { id: `${each.runs[0]}-0`, role: 'assistant', content: `answer ${placeIn(each)}` },
]
const next: ClientMessage = { id: 'new', role: 'user', content: 'new' }
const textsOf = (messages: readonly ClientMessage[]) => messages.map(({ role, content }) => ({ role, content }))

it('a history that is the end of a path, as far back as the client has it, is followed', () => {
  fc.assert(
    fc.property(trees, fc.nat(), fc.nat(), (tree, tip, cut) => {
      const last = tree[tip % tree.length] as Exchange
      const all = pathTo(tree, last.runs[0]).flatMap(messagesOf)
      const history = all.slice(cut % all.length)
      expect(placeOf({ history, questions: [next] }, tree)).toEqual({ parent: last.runs[0], earlier: [] })
    }),
  )
})

it('one that lacks an exchange, or in which a question is another, is followed up to there, and the rest is asked', () => {
  fc.assert(
    fc.property(trees, fc.nat(), fc.nat(), fc.boolean(), (tree, tip, at, isEdit) => {
      const path = pathTo(tree, tree[tip % tree.length]?.runs[0])
      const changed = isEdit ? at % path.length : 1 + (at % path.length)
      // Nothing tells that a beginning or an end is missing.
      fc.pre(isEdit || changed < path.length - 1)
      const before = path.slice(0, changed).flatMap(messagesOf)
      const rest = path.slice(changed + (isEdit ? 0 : 1)).flatMap(messagesOf)
      const after = isEdit ? rest.map((message, index) => (index === 0 ? { ...message, content: 'edited' } : message)) : rest
      const place = placeOf({ history: [...before, ...after], questions: [next] }, tree)
      expect(place).toEqual({ parent: path[changed - 1]?.runs[0] ?? null, earlier: textsOf(after) })
    }),
  )
})
