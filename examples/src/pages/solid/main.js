import { createComponent } from 'solid-js'
import { render } from 'solid-js/web'
import { App } from './app.js'

render(() => createComponent(App, {}), document.querySelector('#app'))
