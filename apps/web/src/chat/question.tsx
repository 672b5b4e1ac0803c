/** What was asked, with a way to ask it in other words, and the way to what was asked or answered in its place before. */
import type { ChatRun } from '@millrace/client/chat'
import { memo, type ReactNode, useState } from 'react'
import { useComposition } from '../composer/composition.ts'
import { readKey } from '../composer/enter.ts'
import { questionLengthMax } from '../composer/limits.ts'
import { useLanguage } from '../i18n/language.tsx'
import { isEnterLine } from '../settings/enter.ts'
import { Button } from '../ui/button.tsx'
import { classes } from '../ui/classes.ts'
import { ChevronIcon, FileIcon, RenameIcon } from '../ui/icons.tsx'
import { Ellipsis, HiddenText } from '../ui/text.tsx'
import styles from './turn.module.css'

export interface QuestionProps {
  readonly id: string
  readonly text: string
  readonly messages?: ChatRun['messages']
  /** Undefined where it cannot be edited. */
  readonly onEdit?: ((text: string) => void) | undefined
  /** The runs at this place of the tree, and which of them is shown. */
  readonly siblings?: readonly string[] | undefined
  readonly run?: string
  readonly onChoose?: (run: string) => void
  /** More that can be done with it. */
  readonly tools?: ReactNode
}

/** Not for each word of its answer. */
export const Question = memo(function Question(props: QuestionProps) {
  const { id, text, messages, onEdit, siblings, run = '', onChoose = () => {}, tools } = props
  const { t } = useLanguage()
  const [isEditing, setEditing] = useState(false)
  if (isEditing && onEdit !== undefined)
    return (
      <Editor
        id={id}
        text={text}
        onDone={(next) => {
          setEditing(false)
          if (next !== undefined) onEdit(next)
        }}
      />
    )
  return (
    <div className={classes(styles.column, styles.asked)}>
      <h2 id={id} className={styles.question} dir="auto">
        <HiddenText>{t.you}: </HiddenText>
        {text}
      </h2>
      <AskedFiles messages={messages} />
      {(onEdit ?? siblings ?? tools) !== undefined && (
        <div className={styles.tools}>
          {siblings !== undefined && <Navigator siblings={siblings} run={run} onChoose={onChoose} />}
          {onEdit !== undefined && (
            <Button look="quiet" aria-label={t.edit} title={t.edit} data-testid="edit" onClick={() => setEditing(true)}>
              <RenameIcon size={14} />
            </Button>
          )}
          {tools}
        </div>
      )}
    </div>
  )
})

function AskedFiles({ messages }: Pick<QuestionProps, 'messages'>) {
  const { t, bytes } = useLanguage()
  const content = messages?.findLast(({ role }) => role === 'user')?.content
  const files = typeof content === 'string' ? [] : (content ?? []).filter((part) => part.type === 'file')
  if (files.length === 0) return null
  return (
    <ul className={styles.files} aria-label={t.attachments.label}>
      {files.map(({ file, name = t.files.unnamed, size }) => (
        <li key={file} className={styles.file} data-testid="asked-file">
          <FileIcon />
          <Ellipsis>
            <bdi>{name}</bdi>
          </Ellipsis>
          {size !== undefined && <span className={styles.size}>{bytes(size)}</span>}
        </li>
      ))}
    </ul>
  )
}

interface NavigatorProps {
  readonly siblings: readonly string[]
  readonly run: string
  readonly onChoose: (run: string) => void
}

function Navigator({ siblings, run, onChoose }: NavigatorProps) {
  const { t, number } = useLanguage()
  const at = siblings.indexOf(run)
  const [before, after] = [siblings[at - 1], siblings[at + 1]]
  const place = t.versions.place(number(at + 1), number(siblings.length))
  return (
    <fieldset aria-label={t.versions.label} className={styles.versions} data-testid="versions">
      <Button
        look="quiet"
        className={styles.back}
        aria-label={t.versions.before}
        title={t.versions.before}
        disabled={before === undefined}
        data-testid="version-before"
        onClick={() => before !== undefined && onChoose(before)}
      >
        <ChevronIcon size={14} />
      </Button>
      <span>{place}</span>
      <Button
        look="quiet"
        className={styles.forth}
        aria-label={t.versions.after}
        title={t.versions.after}
        disabled={after === undefined}
        data-testid="version-after"
        onClick={() => after !== undefined && onChoose(after)}
      >
        <ChevronIcon size={14} />
      </Button>
    </fieldset>
  )
}

interface EditorProps {
  readonly id: string
  readonly text: string
  readonly onDone: (text: string | undefined) => void
}

/** Once: React calls it again only for another element. */
function focusAtEnd(field: HTMLTextAreaElement | null): void {
  field?.focus()
  field?.setSelectionRange(field.value.length, field.value.length)
}

function Editor({ id, text, onDone }: EditorProps) {
  const { t } = useLanguage()
  const [draft, setDraft] = useState(text)
  const composition = useComposition()
  const canSend = draft.trim() !== '' && draft.length <= questionLengthMax
  return (
    <form
      className={classes(styles.column, styles.editor)}
      data-testid="editor"
      onSubmit={(event) => {
        event.preventDefault()
        if (canSend) onDone(draft)
      }}
    >
      <h2 id={id}>
        <HiddenText>{t.edit}</HiddenText>
      </h2>
      <textarea
        ref={focusAtEnd}
        aria-label={t.edit}
        dir="auto"
        value={draft}
        onChange={(event) => setDraft(event.target.value)}
        onCompositionEnd={composition.onCompositionEnd}
        onKeyDown={(event) => {
          if (event.key === 'Escape' && !composition.owns(event)) return onDone(undefined)
          const context = { msSinceComposition: composition.msSinceEnd(), isEnterLine: isEnterLine() }
          const meaning = readKey(event.nativeEvent, context)
          if (meaning !== 'type') event.preventDefault()
          if (meaning === 'send' && canSend) onDone(draft)
        }}
      />
      <div className={styles.tools}>
        <Button look="small" onClick={() => onDone(undefined)}>
          {t.cancel}
        </Button>
        <Button look="small" type="submit" disabled={!canSend}>
          {t.send}
        </Button>
      </div>
    </form>
  )
}
