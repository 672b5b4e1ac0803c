/**
 * A browser opens at most six connections to one HTTP/1.1 server, and a tab with a token has one of its own: the seventh
 * would hang. So a tab that was hidden for this long gives its own up.
 */
import { useEffect, useState } from 'react'

const hiddenMaxMs = 30_000

export function useLongHidden(): boolean {
  const [isLong, setLong] = useState(false)
  useEffect(() => {
    let timer = 0
    const check = () => {
      window.clearTimeout(timer)
      if (document.hidden) timer = window.setTimeout(() => setLong(true), hiddenMaxMs)
      else setLong(false)
    }
    document.addEventListener('visibilitychange', check)
    return () => {
      window.clearTimeout(timer)
      document.removeEventListener('visibilitychange', check)
    }
  }, [])
  return isLong
}
