/** Starts the page. */
import { connect } from '@millrace/client'
import { shareTabs } from '@millrace/client/tabs'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { LanguageProvider, readLanguage, showLanguage } from './i18n/language.tsx'
import { openConversation } from './session/browser.ts'
import { readTheme, showTheme } from './settings/theme.ts'
import { readTransport } from './settings/transport.ts'
import './style/page.css'
import { App } from './app.tsx'
import { Boundary } from './chat/boundary.tsx'
import { PageFailure } from './ui/page-failure.tsx'

// Before the first paint, so that nothing is seen to change.
showTheme(readTheme())
showLanguage(readLanguage())

// Relative to the page, so that a host may serve both under a path of its own.
const client = connect('.', { transport: readTransport(), tabs: shareTabs() })

const root = document.getElementById('root')
if (root === null) throw new Error('index.html must have an element #root')
createRoot(root).render(
  <StrictMode>
    <LanguageProvider>
      <Boundary fallback={<PageFailure />}>
        <App conversation={openConversation(client)} client={client} />
      </Boundary>
    </LanguageProvider>
  </StrictMode>,
)
