import { createElement } from 'react'
import { renderToStaticMarkup } from 'react-dom/server'
import { expect, test, vi } from 'vitest'
import { LanguageProvider } from '../i18n/language.tsx'
import { cjkVectors } from './cjk-vectors.ts'
import { Markdown } from './markdown.tsx'

vi.stubGlobal('document', { baseURI: 'http://127.0.0.1:4600/' })

/** The elements, without those that only hold a text. */
function render(text: string, isGrowing = false): string {
  const html = renderToStaticMarkup(createElement(LanguageProvider, null, createElement(Markdown, { text, isGrowing })))
  return html.replace(/<\/?span>/g, '').replace(/^<div[^>]*>|<\/div>$/g, '')
}

test.each(cjkVectors)('emphasis beside Chinese, Japanese and Korean: %s', (text, html) => {
  expect(render(text).replace(/<\/?a\b[^>]*>/g, '')).toBe(html)
})

test.each([
  ['**注意：**请看', '<strong>注意：</strong>请看'],
  ['他说**“你好”**。', '他说<strong>“你好”</strong>。'],
  ['他说**"你好"**的', '他说<strong>&quot;你好&quot;</strong>的'],
  ['这是*重点。*请看', '这是<em>重点。</em>请看'],
  ['~~删除。~~保留', '<del>删除。</del>保留'],
  ['これは**「強調」**です', 'これは<strong>「強調」</strong>です'],
  ['이것은 **강조(強調)**입니다', '이것은 <strong>강조(強調)</strong>입니다'],
  ['**Use `**kwargs` here**', '<strong>Use <code>**kwargs</code> here</strong>'],
  ['**参数`**kwargs`：**见下', '<strong>参数<code>**kwargs</code>：</strong>见下'],
  ['2 ** 3 ** 4', '2 ** 3 ** 4'],
  ['计算2**3和4**5', '计算2<strong>3和4</strong>5'],
  ['10~20元，30~40元', '10~20元，30~40元'],
  ['a**"b"**c', 'a**&quot;b&quot;**c'],
])('emphasis: %s', (text, html) => {
  expect(render(text)).toBe(`<p>${html}</p>`)
})

test.each([
  ['A &rarr; B &mdash; &copy; caf&eacute;', 'A → B — © café'],
  ['&#8594; &#x2192; &#0; &#xd800; &#1114112;', '→ → \ufffd \ufffd \ufffd'],
  ['&nosuch; &amp;rarr; AT&T', '&amp;nosuch; &amp;rarr; AT&amp;T'],
  ['`&rarr;`', '<code>&amp;rarr;</code>'],
  [
    '[a&nbsp;b](https://a.example/?x=1&amp;y=2)',
    '<a href="https://a.example/?x=1&amp;y=2" target="_blank" rel="nofollow noopener noreferrer">a\u00a0b</a>',
  ],
  ['[a](javascript&colon;alert&lpar;1&rpar;)', 'a'],
  ['[a](/api/chat?query=b)', 'a'],
  ['one<br>two<BR/>three<br />', 'one<br/>two<br/>three<br/>'],
  ['<b onclick="x">a</b>', '&lt;b onclick=&quot;x&quot;&gt;a&lt;/b&gt;'],
])('entities, links and breaks: %s', (text, html) => {
  expect(render(text)).toBe(`<p>${html}</p>`)
})

test('a table’s cell may have a line break', () => {
  expect(render('| a | b |\n|---|---|\n| 1 | open<br>close |')).toContain('<td>open<br/>close</td>')
  expect(render('<br>\nnext')).toBe('<p><br/>\nnext</p>')
})

test.each([
  String.raw`\(E = mc^2\)`,
  String.raw`\(a_1 * b_2 * c\)`,
  String.raw`\[ \frac{a_1}{b_1} \\ \{x\} \]`,
  String.raw`$$a * b * \{c\}$$`,
  String.raw`$\{x\}$`,
  String.raw`\(never closed`,
])('a formula keeps its source: %s', (formula) => {
  for (const text of [`So ${formula} here.`, formula, `- ${formula}`]) expect(render(text)).toContain(formula)
})

test('a formula on lines of its own can be copied, and dollars are prices', () => {
  const formula = '\\[\n- a\n= b\n\\]'
  expect(render(`So:\n\n${formula}\n\n**done**`)).toContain(`<code>${formula}</code>`)
  expect(render(`$$\nx\n\n**next**`, true)).toContain('<strong>next</strong>')
  expect(render('From $5 to **10** US$, or $6.')).toContain('<strong>10</strong>')
})

test.each([
  ['quotes', '>', ' a'],
  ['quotes with spaces', '> ', 'a'],
  ['lists', '- ', 'a'],
  ['numbered lists', '1. ', 'a'],
  ['both', '> - ', 'a'],
  ['emphasis', '*a **b ', ''],
  ['brackets', '[', 'a'],
  ['images', '![', 'a'],
  ['strikes', '~~a *b ', ''],
])('%s that are nested without end are shown', (_, part, end) => {
  const html = render(part.repeat(5_000) + end)
  expect(html.length).toBeGreaterThan(5_000)
  expect(html.match(/<(blockquote|ul|ol|em|strong|del)/g)?.length ?? 0).toBeLessThan(100)
})

test('items, also deep ones, are found when each stands on a line of its own', () => {
  const lines = Array.from({ length: 300 }, (_, depth) => `${'  '.repeat(depth)}- item ${depth}`)
  expect(render(lines.join('\n'))).toContain('item 299')
})
