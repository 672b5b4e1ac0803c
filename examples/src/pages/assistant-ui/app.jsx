import {
  ActionBarPrimitive,
  AssistantRuntimeProvider,
  AttachmentPrimitive,
  BranchPickerPrimitive,
  ComposerPrimitive,
  MessagePrimitive,
  ThreadPrimitive,
} from '@assistant-ui/react'
import { connect } from '@millrace/client'
import { useMillraceRuntime } from '@millrace/client/assistant-ui'

const session = connect().session()

export function App() {
  return (
    <AssistantRuntimeProvider runtime={useMillraceRuntime(session)}>
      <ThreadPrimitive.Root>
        <ThreadPrimitive.Messages components={{ UserMessage: Question, AssistantMessage: Answer }} />
        <ComposerPrimitive.Root>
          <ComposerPrimitive.Attachments components={{ Attachment: File }} />
          <ComposerPrimitive.AddAttachment>Attach</ComposerPrimitive.AddAttachment>
          <ComposerPrimitive.Input />
          <ComposerPrimitive.Cancel>Stop</ComposerPrimitive.Cancel>
        </ComposerPrimitive.Root>
      </ThreadPrimitive.Root>
    </AssistantRuntimeProvider>
  )
}

function Question() {
  return (
    <MessagePrimitive.Root>
      <MessagePrimitive.Attachments components={{ Attachment: File }} />
      <MessagePrimitive.Content />
      <BranchPickerPrimitive.Root hideWhenSingleBranch>
        <BranchPickerPrimitive.Previous>Before</BranchPickerPrimitive.Previous>
        <BranchPickerPrimitive.Number />/<BranchPickerPrimitive.Count />
        <BranchPickerPrimitive.Next>After</BranchPickerPrimitive.Next>
      </BranchPickerPrimitive.Root>
    </MessagePrimitive.Root>
  )
}

function File() {
  return (
    <AttachmentPrimitive.Root>
      File: <AttachmentPrimitive.Name />
    </AttachmentPrimitive.Root>
  )
}

function Answer() {
  return (
    <MessagePrimitive.Root>
      <MessagePrimitive.Content components={{ tools: { Fallback: Tool } }} />
      <ActionBarPrimitive.Reload>Again</ActionBarPrimitive.Reload>
    </MessagePrimitive.Root>
  )
}

function Tool({ toolName, argsText, result, approval, status, addResult, respondToApproval }) {
  const waits = status.type === 'requires-action'
  const isAsked = approval !== undefined && approval.approved === undefined
  return (
    <p>
      {toolName} {argsText} {result !== undefined && JSON.stringify(result)}
      {waits && isAsked && <Button onClick={() => respondToApproval({ approved: true })}>Allow</Button>}
      {waits && isAsked && <Button onClick={() => respondToApproval({ approved: false, reason: 'No.' })}>Reject</Button>}
      {waits && approval === undefined && <Button onClick={() => addResult({ celsius: 3 })}>Answer</Button>}
    </p>
  )
}

function Button(props) {
  return <button type="button" {...props} />
}
