/** Starts the page. */
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { LanguageProvider, readLanguage, showLanguage } from './i18n/language.tsx'
import { openConversation } from './session/browser.ts'
import { readTheme, showTheme } from './settings/theme.ts'
import './style/page.css'
import { App } from './view/app.tsx'

// Before the first paint, so that nothing is seen to change.
showTheme(readTheme())
showLanguage(readLanguage())

const root = document.getElementById('root')
if (root === null) throw new Error('index.html must have an element #root')
createRoot(root).render(
  <StrictMode>
    <LanguageProvider>
      <App conversation={openConversation()} />
    </LanguageProvider>
  </StrictMode>,
)
