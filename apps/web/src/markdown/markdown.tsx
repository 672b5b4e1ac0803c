// biome-ignore-all lint/suspicious/noArrayIndexKey: a token has no identity but its place, and text only grows at the end
/** A markdown text that may still grow. Blocks that are final are rendered once and never again. */
import type { Token, Tokens } from 'marked'
import { memo, type ReactNode, useState } from 'react'
import { growBlocks, noBlocks } from './blocks.ts'
import { CodeBlock } from './code-block.tsx'
import { Inline } from './inline.tsx'

export function Markdown({ text, isGrowing }: { text: string; isGrowing: boolean }) {
  const [before, setBlocks] = useState(noBlocks)
  const blocks = growBlocks(before, text, isGrowing)
  // Kept for the next text; the same text gives the same object, so this settles at once.
  if (blocks !== before) setBlocks(blocks)
  const { frozen, live } = blocks
  return (
    <div className="prose" dir="auto">
      {[...frozen, ...live].map((token, index) => (
        <Block key={index} token={token} isOpen={isGrowing && index >= frozen.length + live.length - 1} />
      ))}
    </div>
  )
}

/** A frozen block's token is the same object for ever, so `memo` keeps its DOM untouched. */
const Block = memo(function Block({ token, isOpen }: { token: Token; isOpen: boolean }): ReactNode {
  switch (token.type) {
    case 'space':
    case 'def':
      return null
    case 'paragraph':
      return (
        <p>
          <Inline tokens={token.tokens} />
        </p>
      )
    case 'heading': {
      // The page has its own h1 and h2; an answer's headings stand below them.
      const Heading = (['h3', 'h4', 'h5', 'h6'] as const)[Math.min((token as Tokens.Heading).depth, 4) - 1] ?? 'h6'
      return (
        <Heading>
          <Inline tokens={token.tokens} />
        </Heading>
      )
    }
    case 'code':
      return <CodeBlock code={(token as Tokens.Code).text} language={(token as Tokens.Code).lang} isOpen={isOpen} />
    case 'list':
      return <List list={token as Tokens.List} />
    case 'blockquote':
      return (
        <blockquote>
          <BlockList tokens={token.tokens} />
        </blockquote>
      )
    case 'table':
      return <Table table={token as Tokens.Table} />
    case 'hr':
      return <hr />
    case 'checkbox':
      return <input type="checkbox" disabled checked={(token as Tokens.Checkbox).checked} readOnly />
    case 'text':
      return <Inline tokens={token.tokens ?? [token]} />
    default:
      // HTML among the rest: shown as the text it is, never as elements.
      return <p>{token.raw.trim()}</p>
  }
})

function BlockList({ tokens }: { tokens: readonly Token[] | undefined }): ReactNode {
  return tokens?.map((token, index) => <Block key={index} token={token} isOpen={false} />)
}

function List({ list }: { list: Tokens.List }) {
  const items = list.items.map((item, index) => (
    <li key={index} className={item.task ? 'task' : undefined}>
      <BlockList tokens={item.tokens} />
    </li>
  ))
  return list.ordered ? <ol start={Number(list.start) || 1}>{items}</ol> : <ul>{items}</ul>
}

function Table({ table }: { table: Tokens.Table }) {
  const cells = (row: readonly Tokens.TableCell[], Cell: 'th' | 'td') =>
    row.map((cell, index) => (
      <Cell key={index} style={cell.align === null ? undefined : { textAlign: cell.align }}>
        <Inline tokens={cell.tokens} />
      </Cell>
    ))
  return (
    <div className="table-scroll">
      <table>
        <thead>
          <tr>{cells(table.header, 'th')}</tr>
        </thead>
        <tbody>
          {table.rows.map((row, index) => (
            <tr key={index}>{cells(row, 'td')}</tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
