# usage: gnuplot -e "table = 'out.tsv'; image = 'out.png'" rates.gnuplot
set terminal pngcairo size 900, 420 font 'sans,10'
set output image
set multiplot layout 1, 2
set key top left
set xlabel 'requests a second'
set logscale y
set grid ytics lc rgb '#dddddd'
set style data linespoints
set title 'Time to first token'
set ylabel 'ms'
plot table using 1:4 every ::1 title 'median' pt 7 lc rgb '#3a7894', \
     table using 1:5 every ::1 title 'p99' pt 7 lc rgb '#a8402f'
set title 'Time between tokens'
plot table using 1:6 every ::1 title 'median' pt 7 lc rgb '#3a7894', \
     table using 1:7 every ::1 title 'p99' pt 7 lc rgb '#a8402f'
unset multiplot
