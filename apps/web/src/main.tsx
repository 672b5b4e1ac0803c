/** Starts the page. */
import { connect } from '@millrace/client'
import { shareTabs } from '@millrace/client/tabs'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { LanguageProvider, readLanguage, showLanguage } from './i18n/language.tsx'
import { readTheme, showTheme } from './settings/theme.ts'
import { readTransport } from './settings/transport.ts'
import './ui/base.css'
import { App } from './app.tsx'
import { Boundary } from './chat/boundary.tsx'
import { SignInGate } from './connection/sign-in.tsx'
import { currentToken, requireSignIn } from './connection/token.ts'
import { PageFailure } from './ui/page-failure.tsx'
import { recordWire } from './wire/wire-log.ts'

// Before the first paint, so that nothing is seen to change.
showTheme(readTheme())
showLanguage(readLanguage())

// Relative to the page, so that a host may serve both under a path of its own.
// Tabs share no connection of a user with a token: another tab may belong to another user.
const token = currentToken()
const ofUser = token === undefined ? { tabs: shareTabs() } : { token: () => token }
const client = connect('.', { transport: readTransport(), onUnauthenticated: requireSignIn, ...ofUser })
const wire = recordWire(client)

const root = document.getElementById('root')
if (root === null) throw new Error('index.html must have an element #root')
createRoot(root).render(
  <StrictMode>
    <LanguageProvider>
      <Boundary fallback={<PageFailure />}>
        <SignInGate>
          <App client={client} wire={wire} />
        </SignInGate>
      </Boundary>
    </LanguageProvider>
  </StrictMode>,
)
