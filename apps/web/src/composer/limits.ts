/** What the server takes, so that the page can say so before anything is sent; a test compares them with the server's. */
export const questionLengthMax = 32_768

/** More columns than this cannot be read beside each other. */
export const lanesShownMax = 4
