/** The page's icons: 24-unit strokes in the colour of the text beside them, never with a meaning of their own. */
import type { ReactNode } from 'react'

export interface IconProps {
  readonly size?: number
}

function Icon({ size = 16, children }: IconProps & { children: ReactNode }) {
  return (
    <svg
      viewBox="0 0 24 24"
      width={size}
      height={size}
      fill="none"
      stroke="currentColor"
      strokeWidth="2"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  )
}

export const SendIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="M12 19V5m0 0-6 6m6-6 6 6" />
  </Icon>
)
export const StopIcon = (props: IconProps) => (
  <Icon {...props}>
    <rect x="6.500" y="6.500" width="11" height="11" rx="2" fill="currentColor" stroke="none" />
  </Icon>
)
export const PlayIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="M8 5.500v13l10.500-6.500z" fill="currentColor" />
  </Icon>
)
export const PlusIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="M12 5v14M5 12h14" />
  </Icon>
)
export const CloseIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="m6 6 12 12M18 6 6 18" />
  </Icon>
)
export const ChevronIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="m6 9 6 6 6-6" />
  </Icon>
)
export const ArrowDownIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="M12 5v14m0 0 6-6m-6 6-6-6" />
  </Icon>
)
export const RetryIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="M4 4v5h5M4.600 9A8 8 0 1 1 4 13" />
  </Icon>
)
export const ExpandIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="M14 4h6v6m0-6-7 7M10 20H4v-6m0 6 7-7" />
  </Icon>
)
export const ShrinkIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="M20 10h-6V4m0 6 7-7M4 14h6v6m0-6-7 7" />
  </Icon>
)
export const WireIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="M3 12h4l3 7 4-14 3 7h4" />
  </Icon>
)
export const CheckIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="m5 12.500 4.500 4.500L19 7.500" />
  </Icon>
)
export const AlertIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="M12 8v5m0 3.500v.1M12 3 2.500 20h19z" />
  </Icon>
)
export const SunIcon = (props: IconProps) => (
  <Icon {...props}>
    <circle cx="12" cy="12" r="4" />
    <path d="M12 2v2m0 16v2M2 12h2m16 0h2M4.900 4.900l1.400 1.400m11.400 11.400 1.400 1.400m0-14.200-1.400 1.400M6.300 17.700l-1.400 1.400" />
  </Icon>
)
export const MoonIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="M20 14.500A8 8 0 0 1 9.500 4a8 8 0 1 0 10.500 10.500Z" />
  </Icon>
)
export const SystemIcon = (props: IconProps) => (
  <Icon {...props}>
    <circle cx="12" cy="12" r="8.500" />
    <path d="M12 3.500v17a8.500 8.500 0 0 0 0-17Z" fill="currentColor" stroke="none" />
  </Icon>
)
export const NewIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="M12 5H6.500A2.500 2.500 0 0 0 4 7.500v10A2.500 2.500 0 0 0 6.500 20h10a2.500 2.500 0 0 0 2.500-2.500V12M18 3.500l2.500 2.500L12 14.500 9 15l.5-3z" />
  </Icon>
)
export const CopyIcon = (props: IconProps) => (
  <Icon {...props}>
    <rect x="9" y="9" width="11" height="11" rx="2" />
    <path d="M5 15H4.500A1.500 1.500 0 0 1 3 13.500v-9A1.500 1.500 0 0 1 4.500 3h9A1.500 1.500 0 0 1 15 4.500V5" />
  </Icon>
)
export const HistoryIcon = (props: IconProps) => (
  <Icon {...props}>
    <rect x="3.500" y="4.500" width="17" height="15" rx="2.500" />
    <path d="M9.500 4.500v15" />
  </Icon>
)
export const MoreIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="M5 12h.01M12 12h.01M19 12h.01" />
  </Icon>
)
export const GripIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="M9 6h.01M15 6h.01M9 12h.01M15 12h.01M9 18h.01M15 18h.01" />
  </Icon>
)
export const RenameIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="M4 20h4L19.500 8.500l-4-4L4 16zM13 7l4 4" />
  </Icon>
)
export const DownloadIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="M12 4v11m0 0 5-5m-5 5-5-5M5 20h14" />
  </Icon>
)
export const TrashIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13" />
  </Icon>
)
export const FileIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="M14 3H6.500v18h11V6.500zM14 3v3.500h3.500" />
  </Icon>
)
export const AttachIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="m20 11-8.500 8.500a5 5 0 0 1-7-7L13 4a3.300 3.300 0 0 1 4.700 4.700L9.300 17a1.700 1.700 0 0 1-2.400-2.400L14.500 7" />
  </Icon>
)
export const ToolIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="M14.500 6.500a4 4 0 0 0-5.300 5L4 16.700V20h3.300l5.200-5.200a4 4 0 0 0 5-5.300L15 12l-3-3z" />
  </Icon>
)
export const SignOutIcon = (props: IconProps) => (
  <Icon {...props}>
    <path d="M14 4H6.500A1.500 1.500 0 0 0 5 5.500v13A1.500 1.500 0 0 0 6.500 20H14M10 12h10m0 0-4-4m4 4-4 4" />
  </Icon>
)
