# Turns the file IN into a C array: const unsigned char NAME[]; const unsigned long NAME_bytes;
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
file(WRITE ${OUT} "extern const unsigned char ${NAME}[];\nextern const unsigned long ${NAME}_bytes;\n"
  "const unsigned char ${NAME}[] = {\n${bytes}\n};\nconst unsigned long ${NAME}_bytes = sizeof(${NAME});\n")
