/** The mark: two streams side by side, as in the favicon. */
export function Logo({ size = 26 }: { size?: number }) {
  return (
    <svg viewBox="0 0 32 32" width={size} height={size} aria-hidden="true">
      <rect width="32" height="32" rx="8" style={{ fill: 'var(--accent)' }} />
      <g fill="none" strokeWidth="2.6" strokeLinecap="round" style={{ stroke: 'var(--on-accent)' }}>
        <path d="M6.500 11c3.200 0 3.200 2.600 6.400 2.600S16.100 11 19.300 11s3.200 2.600 6.200 2.600" />
        <path d="M6.500 18.600c3.200 0 3.200 2.600 6.400 2.600s3.200-2.600 6.400-2.600 3.200 2.600 6.200 2.600" opacity=".72" />
      </g>
    </svg>
  )
}
