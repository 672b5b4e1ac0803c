/** What carries the conversation, and the choice of another: it changes in mid-answer without a word lost. */
import type { Client } from '@millrace/client'
import { useConnection } from '@millrace/client/react'
import { useCallback, useEffect, useRef, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { keepTransport, readTransport, type TransportChoice, transports } from '../settings/transport.ts'
import { Button } from '../ui/button.tsx'
import { classes } from '../ui/classes.ts'
import { CheckIcon, ChevronIcon } from '../ui/icons.tsx'
import popup from '../ui/popup.module.css'
import { usePressOutside } from '../ui/press-outside.ts'
import styles from './menu.module.css'

export function TransportMenu({ client }: { client: Client }) {
  const { t } = useLanguage()
  const { transport } = useConnection(client)
  const [chosen, setChosen] = useState(readTransport)
  const [isOpen, setOpen] = useState(false)
  const button = useRef<HTMLButtonElement>(null)
  const place = useRef<HTMLDivElement>(null)
  const close = useCallback(() => {
    setOpen(false)
    button.current?.focus({ preventScroll: true })
  }, [])
  const leave = useCallback(() => setOpen(false), [])
  usePressOutside(place, leave)

  const choose = (next: TransportChoice) => {
    keepTransport(next)
    setChosen(next)
    client.setTransport(next)
    close()
  }

  return (
    <div ref={place} className={styles.place}>
      <Button
        ref={button}
        look="text"
        aria-haspopup="menu"
        aria-expanded={isOpen}
        aria-label={t.transport.choose(t.transport.names[transport], t.transport.short[transport])}
        title={t.transport.label}
        data-testid="transport"
        data-transport={transport}
        onClick={() => setOpen(!isOpen)}
      >
        <span className={styles.short}>{t.transport.short[transport]}</span>
        <span className={styles.long}>
          {t.transport.names[transport]}
          <ChevronIcon size={14} />
        </span>
      </Button>
      {isOpen && (
        <Menu
          chosen={chosen}
          now={t.transport.names[transport]}
          reason={client.explainTransport().reason}
          onChoose={choose}
          onClose={close}
        />
      )}
    </div>
  )
}

interface MenuProps {
  readonly chosen: TransportChoice
  readonly now: string
  readonly reason: string
  readonly onChoose: (transport: TransportChoice) => void
  readonly onClose: () => void
}

function Menu({ chosen, now, reason, onChoose, onClose }: MenuProps) {
  const { t } = useLanguage()
  const panel = useRef<HTMLDivElement>(null)

  useEffect(() => {
    panel.current?.querySelector<HTMLElement>('[aria-checked="true"]')?.focus()
  }, [])

  const onKeyDown = (event: React.KeyboardEvent) => {
    const items = [...(panel.current?.querySelectorAll<HTMLElement>('[role="menuitemradio"]') ?? [])]
    const at = items.indexOf(document.activeElement as HTMLElement)
    const goTo = (index: number) => items[(index + items.length) % items.length]?.focus()
    if (event.key === 'Escape' || event.key === 'Tab') onClose()
    else if (event.key === 'ArrowDown') goTo(at + 1)
    else if (event.key === 'ArrowUp') goTo(at - 1)
    else if (event.key === 'Home') goTo(0)
    else if (event.key === 'End') goTo(-1)
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  return (
    <div
      ref={panel}
      role="menu"
      aria-label={t.transport.label}
      className={classes(popup.popup, styles.menu)}
      data-testid="transport-menu"
      onKeyDown={onKeyDown}
    >
      {transports.map((transport) => (
        <button
          key={transport}
          type="button"
          role="menuitemradio"
          aria-checked={transport === chosen}
          tabIndex={-1}
          className={classes(popup.option, styles.item)}
          data-choice={transport}
          title={transport === 'auto' ? reason : undefined}
          onClick={() => onChoose(transport)}
        >
          <span className={popup.words}>
            <span className={styles.name}>{t.transport.names[transport]}</span>
            <span className={popup.detail}>
              {transport === 'auto' && chosen === 'auto' ? t.transport.now(now) : t.transport.details[transport]}
            </span>
          </span>
          {transport === chosen && <CheckIcon />}
        </button>
      ))}
    </div>
  )
}
