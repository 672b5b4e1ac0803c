import { describe, expect, it } from 'vitest'
import { isActionPattern, matches } from './actions.ts'
import { anonymous, type Principal } from './caller.ts'
import { type ChannelRules, createChannelRules, createModelRules, type ModelRules } from './rules.ts'

const user: Principal = { id: 'ada', kind: 'user' }
const editor: Principal = { id: 'eve', kind: 'user', may: ['channel.*', 'role:editor'] }
const server: Principal = { id: 'key:a', kind: 'server' }
const admin: Principal = { id: 'key:admin', kind: 'server', may: ['admin.*'] }
const everybody = { anonymous, user, editor, server, admin }

const channelsFor = (rules: ChannelRules) => createChannelRules(rules) as NonNullable<ReturnType<typeof createChannelRules>>

describe('a rule of channels', () => {
  it.each([
    ['anyone', ['anonymous', 'user', 'editor', 'server', 'admin']],
    ['users', ['user', 'editor', 'server', 'admin']],
    ['servers', ['server', 'admin']],
    ['role:editor', ['editor', 'admin']],
    ['role:other', ['admin']],
    ['nobody', ['admin']],
  ] as const)('for %s is for %j', (who, expected) => {
    const check = channelsFor({ 'a:*': { read: who } })
    expect(Object.keys(everybody).filter((name) => check(everybody[name as keyof typeof everybody], 'read', 'a:1'))).toEqual(
      expected,
    )
  })

  it('decides for the longest pattern, whatever the order, and closes what it leaves out', () => {
    const rules = {
      '*': { read: 'anyone' },
      'a:b:*': { read: 'nobody' },
      'a:*': { read: 'users' },
      'a:b:c': { read: 'anyone' },
    } as const
    for (const entries of [Object.entries(rules), Object.entries(rules).toReversed()]) {
      const check = channelsFor(Object.fromEntries(entries))
      const may = (channel: string, who: Principal = anonymous) => check(who, 'read', channel)
      expect([may('z'), may('a:1'), may('a:1', user), may('a:b:1', user), may('a:b:c')]).toEqual([true, false, true, false, true])
      expect(check(user, 'publish', 'z')).toBe(false)
      expect(check(anonymous, 'history', 'z')).toBe(true)
    }
    expect(channelsFor({ a: { read: 'anyone' } })(user, 'read', 'b')).toBe(false)
  })

  it.each([
    { 'a:*': { presence: 'users' } },
    { 'a:*': { read: 'everyone' } },
    { 'a:*': { read: true } },
    { 'a*b': { read: 'users' } },
    { '**': { read: 'users' } },
    { '(a+)+$': { read: 'users' } },
    { ä: { read: 'users' } },
    { 'a:*': 'users' },
    { 'a:*': { read: 'role:' } },
    { 'a:*': { read: 'admin.*' } },
    [],
  ])('that is not one is rejected: %j', (rules) => {
    expect(() => createChannelRules(rules as never)).toThrow(expect.objectContaining({ code: 'invalid_request' }))
  })

  it('has no names that every object has', () => {
    const check = channelsFor(JSON.parse('{"room:*":{"read":"anyone"}}') as ChannelRules)
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'prototype'])
      for (const use of ['read', 'publish', 'history'] as const) expect([name, check(user, use, name)]).toEqual([name, false])
    const polluted = JSON.parse('{"__proto__":{"read":"anyone"},"a":{"read":"nobody"}}') as ChannelRules
    expect(createChannelRules(polluted)?.(user, 'read', 'b')).toBe(false)
    expect(({} as { read?: string }).read).toBeUndefined()
  })
})

describe('a rule of models', () => {
  const modelsFor = (rules: ModelRules) => createModelRules(rules, 'users')
  it('as a list names models, their beginnings, and parts before the colon', () => {
    const check = modelsFor(['sim', 'openai:gpt-*', 'mine'])
    const named = ['sim:count', 'sim', 'openai:gpt-6', 'openai:o9', 'mine', 'mine:x', 'minesweeper', 'simulated:x']
    expect(named.filter((name) => check(user, name))).toEqual(['sim:count', 'sim', 'openai:gpt-6', 'mine', 'mine:x'])
    expect([check(anonymous, 'sim:count'), check(user, 'openai:o9')]).toEqual([false, undefined])
    expect(modelsFor(['*'])(user, 'any:thing')).toBe(true)
  })

  it('by pattern says who', () => {
    const check = modelsFor({ 'openai:*': 'users', 'openai:o*': 'role:editor', 'builtin:guide': 'anyone' })
    expect([check(user, 'openai:gpt'), check(user, 'openai:o9'), check(editor, 'openai:o9')]).toEqual([true, false, true])
    expect([check(anonymous, 'builtin:guide'), check(anonymous, 'openai:gpt'), check(anonymous, 'x')]).toEqual([
      true,
      false,
      undefined,
    ])
  })

  it.each([{ 'a*b': 'users' }, { a: 'me' }, ['a\nb'], 'sim', { a: ['users'] }])('that is not one is rejected: %j', (rules) => {
    expect(() => modelsFor(rules as never)).toThrow(expect.objectContaining({ code: 'invalid_request' }))
  })
})

it('no pattern takes long: not to check, and not to match', () => {
  const name = 'a'.repeat(128)
  const startedAt = performance.now()
  for (const pattern of [
    `${'a*'.repeat(60)}`,
    `${'a'.repeat(127)}!*`,
    '(a|a)*'.repeat(20),
    `model.use:${'*'.repeat(200)}`,
    `role:${'a'.repeat(10_000)}!`,
  ]) {
    expect(isActionPattern(pattern)).toBe(false)
    for (let round = 0; round < 1000; round++) matches(pattern, name)
  }
  const many = channelsFor(
    Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`${'a'.repeat(100)}${n}*`, { read: 'users' }])),
  )
  many(user, 'read', name)
  const ms = performance.now() - startedAt
  process.stdout.write(`patterns: 5 hostile ones 1,000 times, and 10,000 rules, in ${ms.toFixed(1)} ms\n`)
  expect(ms).toBeLessThan(1000)
})
