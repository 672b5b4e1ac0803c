/** The order of what can be dragged or pressed to another place: shown at once, until the order that was asked for arrives. */
import { type PointerEvent as ReactPointerEvent, useState } from 'react'

export interface Reorder {
  /** As it is shown. */
  readonly order: readonly string[]
  readonly dragged: string | undefined
  /** Follows the pointer until it is released. Items are the elements with `data-reorder`, the id. */
  grab(id: string, event: ReactPointerEvent): void
  /** By one place, up where it is negative. */
  shift(id: string, by: -1 | 1): void
}

interface Shown {
  /** What it was made of: another order from outside takes its place. */
  readonly base: string
  readonly order: readonly string[]
}

/** `move` puts an item before another one, or with null last. */
export function useReorder(ids: readonly string[], move: (id: string, before: string | null) => Promise<unknown>): Reorder {
  const [shown, setShown] = useState<Shown>()
  const [dragged, setDragged] = useState<string>()
  const base = ids.join()
  const order = shown?.base === base ? shown.order : ids
  const show = (next: readonly string[]) => setShown({ base, order: next })
  const settle = (id: string, next: readonly string[]) => {
    if (next.join() === base) return
    show(next)
    move(id, next[next.indexOf(id) + 1] ?? null).catch(() => setShown(undefined))
  }

  return {
    order,
    dragged,
    grab(id, event) {
      if (event.button !== 0) return
      event.preventDefault()
      setDragged(id)
      let next = order
      const listening = new AbortController()
      const { signal } = listening
      const end = () => {
        listening.abort()
        setDragged(undefined)
      }
      // Of the window: an element that moves to another place in the document loses the pointer.
      const onMove = ({ clientY }: PointerEvent) => {
        const wanted = placeAt(next, id, clientY)
        if (wanted.join() === next.join()) return
        next = wanted
        show(next)
      }
      const onUp = () => {
        end()
        settle(id, next)
      }
      const onCancel = () => {
        end()
        setShown(undefined)
      }
      window.addEventListener('pointermove', onMove, { signal })
      window.addEventListener('pointerup', onUp, { signal })
      window.addEventListener('pointercancel', onCancel, { signal })
      window.addEventListener('keydown', ({ key }) => key === 'Escape' && onCancel(), { signal })
    },
    shift(id, by) {
      const place = order.indexOf(id) + by
      if (place >= 0 && place < order.length) settle(id, order.filter((one) => one !== id).toSpliced(place, 0, id))
    },
  }
}

/** Before the first of the others whose middle is below the pointer. */
function placeAt(order: readonly string[], id: string, pointerY: number): readonly string[] {
  const others = order.filter((one) => one !== id)
  const below = others.findIndex((one) => {
    const box = document.querySelector(`[data-reorder="${one}"]`)?.getBoundingClientRect()
    return box !== undefined && pointerY < box.top + box.height / 2
  })
  return others.toSpliced(below === -1 ? others.length : below, 0, id)
}
