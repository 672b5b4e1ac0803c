/**
 * An error boundary: where React cannot draw the elements inside, something simpler is shown in their place and the rest of the
 * page goes on. A browser's translator or an extension that changes the page's elements is enough for that.
 */
import { Component, type ReactNode } from 'react'

export interface BoundaryProps {
  readonly fallback: ReactNode
  /** When it changes, what is within is drawn again. */
  readonly retryKey?: string
  readonly children: ReactNode
}

interface State {
  readonly hasFailed: boolean
  readonly retryKey: string | undefined
}

export class Boundary extends Component<BoundaryProps, State> {
  override state: State = { hasFailed: false, retryKey: this.props.retryKey }

  static getDerivedStateFromError() {
    return { hasFailed: true }
  }

  static getDerivedStateFromProps({ retryKey }: BoundaryProps, state: State): State {
    return { retryKey, hasFailed: state.hasFailed && state.retryKey === retryKey }
  }

  override render() {
    return this.state.hasFailed ? this.props.fallback : this.props.children
  }
}
