import { describe, expect, it } from 'vitest'
import { anchorsOf, findBrokenCitations, findBrokenLinks, findLongTexts } from './markdown.ts'

const page = '# 主机名\n\n## Stop a server\n\n## `POST /api/runs/:id/stop`\n\n```sh\n# no heading\n```\n\n## Stop a server\n'

it('makes the same anchors as GitHub', () => {
  expect([...anchorsOf(page)]).toEqual(['主机名', 'stop-a-server', 'post-apirunsidstop', 'stop-a-server-1'])
})

describe('a link', () => {
  const check = (text: string) =>
    findBrokenLinks({
      texts: { 'docs/a.md': text, 'docs/b.md': page },
      exists: (path) => ['docs/a.md', 'docs/b.md', 'src'].includes(path),
    })

  it.each([
    '[x](b.md)',
    '[x](b.md#主机名)',
    '[x](../src)',
    '[x](https://example.org/#y)',
    '`[x](nowhere.md)`',
    '# A b\n[x](#a-b)',
  ])('accepts one that resolves: %j', (text) => expect(check(text)).toEqual([]))

  it.each(['[x](c.md)', '[x](b.md#start)', '[x](../src/c.ts)', '# A b\n[x](#b)'])('names one that does not resolve: %j', (text) =>
    expect(check(text)).toHaveLength(1),
  )
})

describe('a citation in a comment', () => {
  const check = (code: string) =>
    findBrokenCitations({ texts: { 'PROTOCOL.md': page }, exists: (path) => path === 'PROTOCOL.md' }, { 'a.ts': code })

  it.each([
    '/** See PROTOCOL.md#stop-a-server. */',
    '/**\n * In PROTOCOL.md,\n * at the top. */',
    'f() // PROTOCOL.md#主机名',
    "f('docs/a.md')",
    "f('https://example.org/README.md')",
  ])('is accepted if it resolves: %j', (code) => expect(check(code)).toEqual([]))

  it.each(['/** See PROTOCOL.md#start. */', '/**\n * See\n * docs/a.md. */', '  // PROTOCOL.md#stop'])(
    'is named if it does not resolve: %j',
    (code) => expect(check(code)).toEqual([expect.stringMatching(/^a\.ts cites \S+\.md\S*, but /)]),
  )
})

it('names a long page and a long table cell of a guide', () => {
  const check = (text: string) => findLongTexts({ texts: { 'docs/guides/a.md': text }, exists: () => true })
  expect(check(`| ${'x '.repeat(15)} |\n\n${'x '.repeat(1100)}`)).toEqual([])
  expect(check(`| ${'x '.repeat(16)} |`)).toEqual([expect.stringContaining('table cell')])
  expect(check('x '.repeat(1201))).toEqual([expect.stringContaining('1201 words')])
  expect(check(`<!-- settings -->\n${'x '.repeat(1201)}\n<!-- /settings -->\n`)).toEqual([])
})
